/* The cases of the border with the conformance guest run natively. flitch's own tests run them through the component.
 */
#include <stdio.h>

#include "flitch_testing.h"

extern const flitch_state conformance_state;

/* A filter says what it remembers and takes it again. */
static int state(void) {
  flitch_str reason = {NULL, 0};
  bool taken = conformance_state.restore(flitch_s("1 4"), &reason) && conformance_state.restore(flitch_s("1 3"), &reason);
  bool refused = !conformance_state.restore(flitch_s("2 7"), &reason) && flitch_is(reason, "its format is not known");
  bool good = taken && refused && flitch_is(conformance_state.save(), "1 7");
  if (!good) fprintf(stderr, "the state of the conformance guest is not kept\n");
  return !good;
}

int main(void) { return flitch_run_batches("../../wit/cases/batches") | state(); }
