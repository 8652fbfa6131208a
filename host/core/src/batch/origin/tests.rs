use proptest::prelude::*;

use super::*;

fn root(name: &str) -> Root {
    Root::of("test", &[name.as_bytes()])
}

fn ids(origins: &Origins) -> Vec<u128> {
    (0..origins.rows()).map(|row| origins.id(row)).collect()
}

fn has_twins(origins: &Origins) -> bool {
    let mut ids = ids(origins);
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    ids.len() < all
}

#[test]
fn an_id_stays_what_it_is_in_each_version() {
    let root = Root::of("file", &[b"nginx", b"access.log"]);
    let made = [root, root.part(1), root.piece(1), root.along(Root::of("pipeline", &[b"clicks"]))];
    let texts = made.map(|root| format!("{:032x}", root.id(240)));
    assert_eq!(
        texts,
        [
            "2072f17641d0ead311bf80585a85da7b",
            "98604d2100013cecadbcb6a92a49e402",
            "2cbbe72429c12a4bb2b08d7aa4870e39",
            "d1144c4f2874a40138576e6bdefaa3e9",
        ]
    );
}

#[test]
fn parts_that_only_together_are_the_same_name_other_roots() {
    let roots = [
        Root::of("a", &[b"b", b"c"]),
        Root::of("a", &[b"bc"]),
        Root::of("ab", &[b"c"]),
        Root::of("a", &[b"b", b"c", b""]),
        Root::random(),
        Root::random(),
    ];
    for (place, root) in roots.iter().enumerate() {
        assert!(!roots[place + 1..].contains(root), "{place}");
    }
}

#[test]
fn what_is_drawn_is_drawn_once() {
    let mut numbering = Numbering::default();
    (0..3000).for_each(|_| numbering.push_drawn());
    let all = [Origins::drawn(10), numbering.finish(), Origins::drawn(0), Origins::drawn(1)];
    assert!(!has_twins(&Origins::concat(&all.each_ref())));
}

#[test]
fn the_pieces_of_a_record_have_origins_of_their_own_and_always_the_same() {
    let origins = Origins::of(root("file"), vec![0, 80, 160]);
    let split = origins.take(&[0, 1, 1, 2, 1]);
    assert_eq!((split.row(0), split.row(3)), (origins.row(0), origins.row(2)));
    assert!(!has_twins(&split) && !ids(&split).contains(&origins.id(1)));
    // Whatever stands beside it.
    let alone = origins.slice(1, 1).take(&[0, 0, 0]);
    assert_eq!([alone.id(0), alone.id(1), alone.id(2)], [split.id(1), split.id(2), split.id(4)]);
    // And split once more.
    assert!(!has_twins(&split.take(&[0, 0, 1, 1, 2, 2, 3, 3, 4, 4])));
}

#[test]
fn records_of_several_roots_are_gathered_in_one_batch() {
    let mut numbering = Numbering::default();
    let one = numbering.root(root("one"));
    (0..3).for_each(|number| numbering.push(one, number));
    let other = numbering.root(root("other"));
    numbering.push(other, 0);
    numbering.push_drawn();
    numbering.push(one, 3);
    let origins = numbering.finish();
    assert_eq!(origins.rows(), 6);
    assert_eq!((origins.row(2), origins.row(3)), ((root("one"), 2), (root("other"), 0)));
    assert_eq!(origins.row(5), (root("one"), 3));
    assert_eq!((numbering.rows(), numbering.finish().rows()), (0, 0));
    let next = numbering.root(root("next"));
    numbering.push(next, 9);
    assert_eq!(numbering.finish(), Origins::of(root("next"), vec![9]));
}

#[test]
fn what_two_pipelines_make_of_a_record_is_two_records() {
    let origins = Origins::counted(root("file"), 0, 2);
    let ways = ["one", "other"].map(|name| origins.along(root(name)));
    assert!(!has_twins(&Origins::concat(&[&origins, &ways[0], &ways[1]])));
    assert_eq!(ways[0], origins.along(root("one")));
}

/// Origins of up to 40 rows of up to five roots.
fn any_origins() -> impl Strategy<Value = Origins> {
    prop::collection::vec((0..5u32, any::<u64>()), 1..40).prop_map(|rows| {
        let mut numbering = Numbering::default();
        let places: Vec<u32> = (0..5).map(|name| numbering.root(root(&name.to_string()))).collect();
        rows.iter().for_each(|(root, number)| numbering.push(places[*root as usize], *number));
        numbering.finish()
    })
}

proptest! {
    #[test]
    fn each_row_keeps_its_origin_wherever_it_goes(
        origins in any_origins(),
        keep in prop::collection::vec(any::<bool>(), 40),
        order in Just(()).prop_perturb(|(), mut rng| {
            let mut order: Vec<u32> = (0..40).collect();
            (1..40).for_each(|at| order.swap(at, rng.random_range(0..=at)));
            order
        }),
        cut in 0..40usize,
    ) {
        let rows = origins.rows();
        let all = ids(&origins);
        let of = |picked: &[usize]| picked.iter().map(|row| all[*row]).collect::<Vec<_>>();
        let kept: Vec<usize> = (0..rows).filter(|row| keep[*row]).collect();
        prop_assert_eq!(ids(&origins.filter(&keep[..rows].to_vec().into())), of(&kept));
        let order: Vec<u32> = order.into_iter().filter(|row| (*row as usize) < rows).collect();
        let picked: Vec<usize> = order.iter().map(|row| *row as usize).collect();
        prop_assert_eq!(ids(&origins.take(&order)), of(&picked));
        let cut = cut.min(rows);
        let (head, tail) = (origins.slice(0, cut), origins.slice(cut, rows - cut));
        prop_assert_eq!(ids(&Origins::concat(&[&head, &tail])), all.clone());
        prop_assert_eq!(ids(&Origins::concat(&[&tail, &head])), of(&(cut..rows).chain(0..cut).collect::<Vec<_>>()));
        let slices: Vec<Origins> = (0..rows).map(|row| origins.slice(row, 1)).collect();
        prop_assert!(slices.iter().all(|one| one.roots().len() == 1));
        prop_assert_eq!(ids(&Origins::concat(&slices.iter().collect::<Vec<_>>())), all);
    }
}
