// A registry for tests: go-containerregistry's, which keeps everything in memory, with what Debian's docker-registry lacks:
// the referrers API (OCI distribution 1.1) and tokens (Docker's token authentication).
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

// tokens gives out tokens to the one user, and lets through whoever shows one.
type tokens struct {
	inner    http.Handler
	realm    string
	user     string
	password string
	mutex    sync.Mutex
	given    map[string]string
}

func (t *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		t.give(w, r)
		return
	}
	scope := "registry:catalog:*"
	if parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/v2/"), "/", -1); len(parts) > 2 {
		repository := strings.Join(parts[:len(parts)-2], "/")
		if i := strings.Index(r.URL.Path, "/blobs/uploads"); i > 0 {
			repository = strings.TrimPrefix(r.URL.Path[:i], "/v2/")
		}
		action := "pull"
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			action = "pull,push"
		}
		scope = "repository:" + repository + ":" + action
	}
	token, shown := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	t.mutex.Lock()
	granted, known := t.given[token]
	t.mutex.Unlock()
	if shown && known && strings.HasPrefix(granted+",", scope+",") {
		t.inner.ServeHTTP(w, r)
		return
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q,service=\"tests\",scope=%q", t.realm, scope))
	http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
}

func (t *tokens) give(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != t.user || password != t.password {
		http.Error(w, `{"errors":[{"code":"DENIED"}]}`, http.StatusUnauthorized)
		return
	}
	bytes := make([]byte, 16)
	rand.Read(bytes)
	token := hex.EncodeToString(bytes)
	t.mutex.Lock()
	t.given[token] = r.URL.Query().Get("scope")
	t.mutex.Unlock()
	json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where it listens")
	user := flag.String("user", "", "the user who gets tokens; without one nobody needs any")
	password := flag.String("password", "", "the user's password")
	referrers := flag.Bool("referrers", true, "whether there is the referrers API")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	address := listener.Addr().String()
	var handler http.Handler = registry.New(registry.WithReferrersSupport(*referrers))
	if *user != "" {
		handler = &tokens{inner: handler, realm: "http://" + address + "/token", user: *user, password: *password, given: map[string]string{}}
	}
	fmt.Println(address)
	log.Fatal(http.Serve(listener, handler))
}
