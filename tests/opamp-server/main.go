// A server of OpAMP for tests: opamp-go's own on one port of the loopback, and on another one what a test has it do.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/open-telemetry/opamp-go/protobufs"
	"github.com/open-telemetry/opamp-go/server"
	"github.com/open-telemetry/opamp-go/server/types"
)

// What is known of an agent.
type agent struct {
	Uid         string            `json:"uid"`
	Description map[string]string `json:"description"`
	Healthy     bool              `json:"healthy"`
	Error       string            `json:"error"`
	Components  map[string]string `json:"components"`
	Effective   map[string]string `json:"effective"`
	Hash        string            `json:"hash"`
	Status      string            `json:"status"`
	Message     string            `json:"message"`
	// How the parts say that they are.
	Statuses         map[string]string        `json:"statuses"`
	Packages         map[string]packageStatus `json:"packages"`
	PackagesHash     string                   `json:"packages_hash"`
	PackagesError    string                   `json:"packages_error"`
	ConnectionHash   string                   `json:"connection_hash"`
	ConnectionStatus string                   `json:"connection_status"`
	ConnectionError  string                   `json:"connection_error"`
	Capabilities     uint64                   `json:"capabilities"`
	Messages         int                      `json:"messages"`
	Full             int                      `json:"full"`
	Connected        bool                     `json:"connected"`
	Farewells        int                      `json:"farewells"`
	Remote           string                   `json:"remote"`
	conn             types.Connection
	send             sync.Mutex
	offer            *protobufs.ServerToAgent
}

// How a package is there.
type packageStatus struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
	Offered string `json:"offered"`
	Status  string `json:"status"`
	Error   string `json:"error"`
}

// A package as a test has it offered.
type offered struct {
	Version   string            `json:"version"`
	Hash      string            `json:"hash"`
	Url       string            `json:"url"`
	Content   string            `json:"content"`
	Signature string            `json:"signature"`
	Headers   map[string]string `json:"headers"`
	TopLevel  bool              `json:"top_level"`
}

type fleet struct {
	sync.Mutex
	agents map[string]*agent
	byConn map[types.Connection]*agent
	// Offered to every agent that comes.
	common *protobufs.AgentRemoteConfig
	// Asks for all with each answer.
	nosy bool
	// Refuses connections.
	status     int
	retryAfter string
	bearer     string
	asked      int
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where agents come")
	control := flag.String("control", "127.0.0.1:0", "where the test comes")
	bearer := flag.String("bearer", "", "the token that agents must show")
	cert := flag.String("cert", "", "")
	key := flag.String("key", "", "")
	clientCa := flag.String("client-ca", "", "")
	flag.Parse()
	f := &fleet{agents: map[string]*agent{}, byConn: map[types.Connection]*agent{}, bearer: *bearer}
	settings := server.StartSettings{ListenEndpoint: *listen}
	settings.Callbacks.OnConnecting = f.connecting
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			log.Fatal(err)
		}
		settings.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
		if *clientCa != "" {
			pem, err := os.ReadFile(*clientCa)
			if err != nil {
				log.Fatal(err)
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(pem)
			settings.TLSConfig.ClientCAs = pool
			settings.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	s := server.New(nil)
	if err := s.Start(settings); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /agents", f.list)
	mux.HandleFunc("POST /config", f.config)
	mux.HandleFunc("POST /packages", f.packages)
	mux.HandleFunc("POST /connection", f.connection)
	mux.HandleFunc("POST /restart", func(w http.ResponseWriter, r *http.Request) {
		f.each(r, func(a *agent) *protobufs.ServerToAgent {
			return &protobufs.ServerToAgent{Command: &protobufs.ServerToAgentCommand{Type: protobufs.CommandType_CommandType_Restart}}
		})
	})
	mux.HandleFunc("POST /uid", func(w http.ResponseWriter, r *http.Request) {
		uid, _ := hex.DecodeString(r.URL.Query().Get("new"))
		f.each(r, func(a *agent) *protobufs.ServerToAgent {
			return &protobufs.ServerToAgent{AgentIdentification: &protobufs.AgentIdentification{NewInstanceUid: uid}}
		})
	})
	mux.HandleFunc("POST /nosy", func(w http.ResponseWriter, r *http.Request) {
		f.Lock()
		f.nosy = r.URL.Query().Get("on") == "1"
		f.Unlock()
	})
	mux.HandleFunc("POST /refuse", func(w http.ResponseWriter, r *http.Request) {
		f.Lock()
		f.status, _ = strconv.Atoi(r.URL.Query().Get("status"))
		f.retryAfter = r.URL.Query().Get("after")
		f.asked = 0
		f.Unlock()
	})
	mux.HandleFunc("POST /hang-up", func(w http.ResponseWriter, r *http.Request) {
		f.Lock()
		conns := make([]types.Connection, 0, len(f.byConn))
		for conn := range f.byConn {
			conns = append(conns, conn)
		}
		f.Unlock()
		for _, conn := range conns {
			conn.Disconnect()
		}
	})
	mux.HandleFunc("GET /asked", func(w http.ResponseWriter, r *http.Request) {
		f.Lock()
		defer f.Unlock()
		json.NewEncoder(w).Encode(f.asked)
	})
	log.Fatal(http.ListenAndServe(*control, mux))
}

func (f *fleet) connecting(r *http.Request) types.ConnectionResponse {
	f.Lock()
	defer f.Unlock()
	f.asked++
	if f.status != 0 {
		headers := map[string]string{}
		if f.retryAfter != "" {
			headers["Retry-After"] = f.retryAfter
		}
		return types.ConnectionResponse{HTTPStatusCode: f.status, HTTPResponseHeader: headers}
	}
	if f.bearer != "" && r.Header.Get("Authorization") != "Bearer "+f.bearer {
		return types.ConnectionResponse{HTTPStatusCode: http.StatusUnauthorized}
	}
	return types.ConnectionResponse{Accept: true, ConnectionCallbacks: types.ConnectionCallbacks{
		OnMessage:         f.message,
		OnConnectionClose: f.closed,
	}}
}

func attributes(into map[string]string, from []*protobufs.KeyValue) {
	for _, pair := range from {
		into[pair.Key] = pair.Value.GetStringValue()
	}
}

func (f *fleet) message(ctx context.Context, conn types.Connection, m *protobufs.AgentToServer) *protobufs.ServerToAgent {
	f.Lock()
	defer f.Unlock()
	uid := hex.EncodeToString(m.InstanceUid)
	a := f.agents[uid]
	if a == nil {
		a = &agent{Uid: uid}
		f.agents[uid] = a
	}
	a.Messages++
	a.Capabilities = m.Capabilities
	a.conn = conn
	a.Connected = true
	if conn.Connection() != nil {
		a.Remote = conn.Connection().RemoteAddr().String()
	}
	f.byConn[conn] = a
	if d := m.AgentDescription; d != nil {
		a.Full++
		a.Description = map[string]string{}
		attributes(a.Description, d.IdentifyingAttributes)
		attributes(a.Description, d.NonIdentifyingAttributes)
	}
	if h := m.Health; h != nil {
		a.Healthy, a.Error = h.Healthy, h.LastError
		a.Components, a.Statuses = map[string]string{}, map[string]string{}
		for name, part := range h.ComponentHealthMap {
			a.Components[name] = part.LastError
			a.Statuses[name] = part.Status
		}
	}
	if e := m.EffectiveConfig; e != nil {
		a.Effective = map[string]string{}
		for name, file := range e.GetConfigMap().GetConfigMap() {
			a.Effective[name] = string(file.Body)
		}
	}
	if s := m.RemoteConfigStatus; s != nil {
		a.Hash, a.Status, a.Message = string(s.LastRemoteConfigHash), s.Status.String(), s.ErrorMessage
	}
	if p := m.PackageStatuses; p != nil {
		a.Packages = map[string]packageStatus{}
		a.PackagesHash, a.PackagesError = string(p.ServerProvidedAllPackagesHash), p.ErrorMessage
		for name, status := range p.Packages {
			a.Packages[name] = packageStatus{
				Version: status.AgentHasVersion,
				Hash:    hex.EncodeToString(status.AgentHasHash),
				Offered: hex.EncodeToString(status.ServerOfferedHash),
				Status:  strings.TrimPrefix(status.Status.String(), "PackageStatusEnum_"),
				Error:   status.ErrorMessage,
			}
		}
	}
	if s := m.ConnectionSettingsStatus; s != nil {
		a.ConnectionHash, a.ConnectionError = string(s.LastConnectionSettingsHash), s.ErrorMessage
		a.ConnectionStatus = strings.TrimPrefix(s.Status.String(), "ConnectionSettingsStatuses_")
	}
	if m.AgentDisconnect != nil {
		a.Farewells++
		a.Connected = false
	}
	answer := &protobufs.ServerToAgent{InstanceUid: m.InstanceUid}
	if a.offer != nil {
		answer, a.offer = a.offer, nil
		answer.InstanceUid = m.InstanceUid
	}
	if f.common != nil && answer.RemoteConfig == nil && a.Hash != string(f.common.ConfigHash) {
		answer.RemoteConfig = f.common
	}
	if f.nosy {
		answer.Flags = uint64(protobufs.ServerToAgentFlags_ServerToAgentFlags_ReportFullState)
	}
	return answer
}

func (f *fleet) closed(conn types.Connection) {
	f.Lock()
	defer f.Unlock()
	if a := f.byConn[conn]; a != nil && a.conn == conn {
		a.Connected = false
	}
	delete(f.byConn, conn)
}

func (f *fleet) list(w http.ResponseWriter, r *http.Request) {
	f.Lock()
	defer f.Unlock()
	all := make([]*agent, 0, len(f.agents))
	for _, a := range f.agents {
		all = append(all, a)
	}
	json.NewEncoder(w).Encode(all)
}

// each sends a message to the agent that the query names, or to all; over HTTP with its next question.
func (f *fleet) each(r *http.Request, message func(*agent) *protobufs.ServerToAgent) {
	f.Lock()
	var to []*agent
	for uid, a := range f.agents {
		if wanted := r.URL.Query().Get("agent"); wanted == "" || wanted == uid {
			to = append(to, a)
		}
	}
	f.Unlock()
	for _, a := range to {
		m := message(a)
		m.InstanceUid, _ = hex.DecodeString(a.Uid)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		a.send.Lock()
		err := a.conn.Send(ctx, m)
		a.send.Unlock()
		cancel()
		if err != nil {
			f.Lock()
			a.offer = m
			f.Unlock()
		}
	}
}

// packages offers those of the body under a hash, with a configuration where the query has one.
func (f *fleet) packages(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var all map[string]offered
	if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	packages := map[string]*protobufs.PackageAvailable{}
	for name, one := range all {
		content, _ := hex.DecodeString(one.Content)
		headers := &protobufs.Headers{}
		for key, value := range one.Headers {
			headers.Headers = append(headers.Headers, &protobufs.Header{Key: key, Value: value})
		}
		kind := protobufs.PackageType_PackageType_Addon
		if one.TopLevel {
			kind = protobufs.PackageType_PackageType_TopLevel
		}
		packages[name] = &protobufs.PackageAvailable{
			Type:    kind,
			Version: one.Version,
			Hash:    []byte(one.Hash),
			File: &protobufs.DownloadableFile{
				DownloadUrl: one.Url,
				ContentHash: content,
				Signature:   []byte(one.Signature),
				Headers:     headers,
			},
		}
	}
	offer := &protobufs.ServerToAgent{PackagesAvailable: &protobufs.PackagesAvailable{
		Packages:        packages,
		AllPackagesHash: []byte(query.Get("hash")),
	}}
	if text := query.Get("config"); text != "" {
		body, _ := hex.DecodeString(text)
		offer.RemoteConfig = &protobufs.AgentRemoteConfig{
			Config: &protobufs.AgentConfigMap{ConfigMap: map[string]*protobufs.AgentConfigFile{
				"": {Body: body, ContentType: "text/yaml"},
			}},
			ConfigHash: []byte(query.Get("config_hash")),
		}
	}
	f.each(r, func(*agent) *protobufs.ServerToAgent {
		return &protobufs.ServerToAgent{PackagesAvailable: offer.PackagesAvailable, RemoteConfig: offer.RemoteConfig}
	})
}

// connection offers another one: the body is an endpoint, and the query may have a token, a certificate with its key, and a CA,
// each as a file.
func (f *fleet) connection(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	endpoint, _ := io.ReadAll(r.Body)
	read := func(name string) []byte {
		text, _ := os.ReadFile(query.Get(name))
		return text
	}
	settings := &protobufs.OpAMPConnectionSettings{DestinationEndpoint: string(endpoint)}
	if token := query.Get("token"); token != "" {
		settings.Headers = &protobufs.Headers{Headers: []*protobufs.Header{{Key: "Authorization", Value: "Bearer " + token}}}
	}
	if query.Has("ca") {
		settings.Certificate = &protobufs.TLSCertificate{Cert: read("cert"), PrivateKey: read("key"), CaCert: read("ca")}
	}
	offers := &protobufs.ConnectionSettingsOffers{Hash: []byte(query.Get("hash")), Opamp: settings}
	f.each(r, func(*agent) *protobufs.ServerToAgent { return &protobufs.ServerToAgent{ConnectionSettings: offers} })
}

// config offers the body, or one of so many bytes, under a hash, in one file or in none.
func (f *fleet) config(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	body, _ := io.ReadAll(r.Body)
	if size, err := strconv.Atoi(query.Get("bytes")); err == nil {
		body = make([]byte, size)
		for i := range body {
			body[i] = '#'
		}
	}
	files := map[string]*protobufs.AgentConfigFile{}
	if query.Get("files") != "0" {
		files[""] = &protobufs.AgentConfigFile{Body: body, ContentType: "text/yaml"}
	}
	offer := &protobufs.AgentRemoteConfig{
		Config:     &protobufs.AgentConfigMap{ConfigMap: files},
		ConfigHash: []byte(query.Get("hash")),
	}
	if query.Get("keep") == "1" {
		f.Lock()
		f.common = offer
		f.Unlock()
	}
	f.each(r, func(*agent) *protobufs.ServerToAgent { return &protobufs.ServerToAgent{RemoteConfig: offer} })
}
