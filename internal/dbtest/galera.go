package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Galera is a cluster of MariaDB servers, each of which takes writes and has all the data. A single node may be killed, shut down,
// paused and restarted as any Server, and cut off from the others; two of three must be left for the cluster to go on.
type Galera struct {
	Nodes []*Server
}

// galeraNodes is the smallest number that survives the loss of one.
const galeraNodes = 3

// galeraEngine runs one node.
type galeraEngine struct {
	mariadbEngine
	provider string // path of the library; empty when missing
	rsync    string // path of what copies data to a new node; empty when missing
	node     *galeraNode
}

type galeraNode struct {
	name     string
	server   *Server       // nil before its first start
	first    bool          // it makes the cluster, and the others join it
	group    string        // address for the other nodes
	transfer [2]string     // addresses for the transfer of state: of all data, and of what a node has missed
	all      []*galeraNode // itself included
	started  bool          // once at least
}

// StartGalera starts a cluster of three nodes. The caller calls Stop at the end. The error is an [ErrMissing] when a part of it is not installed.
func StartGalera(opts ...Option) (*Galera, error) {
	nodes := make([]*galeraNode, galeraNodes)
	for i := range nodes {
		var address [3]string
		for j := range address {
			port, err := freePort()
			if err != nil {
				return nil, err
			}
			address[j] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		}
		nodes[i] = &galeraNode{
			name: fmt.Sprint("node", i), first: i == 0, group: address[0], transfer: [2]string{address[1], address[2]}, all: nodes,
		}
	}
	g := &Galera{}
	for _, node := range nodes {
		k := Kind{Name: "galera", Dialect: MySQL, engine: galeraEngine{
			mariadbEngine: Kinds(MySQL)[0].engine.(mariadbEngine),
			provider:      lookPath("libgalera_smm.so", "/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so"),
			rsync:         lookPath("rsync"),
			node:          node,
		}}
		if len(g.Nodes) > 0 {
			opts = append(opts[:len(opts):len(opts)], beside(g.Nodes[0]))
		}
		s, err := Start(k, opts...)
		if err == nil {
			g.Nodes = append(g.Nodes, s)
			node.server = s
			err = g.Settle()
		}
		if err != nil {
			return nil, errors.Join(err, g.Stop())
		}
	}
	return g, nil
}

// NewGalera is StartGalera for a test: it skips or fails when it is not installed, and stops it when t ends.
func NewGalera(t testing.TB, opts ...Option) *Galera {
	t.Helper()
	g, err := StartGalera(opts...)
	if err != nil {
		skipOrFail(t, err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Errorf("stopping Galera: %v", err)
		}
	})
	return g
}

// Stop ends all nodes for good and removes their data. It may be called again.
func (g *Galera) Stop() error {
	var errs []error
	for _, s := range g.Nodes {
		errs = append(errs, s.Stop())
	}
	return errors.Join(errs...)
}

// Cut cuts a node off from the others, as a broken network does, and returns when it knows: it then refuses statements. The others notice
// at about the same time, and take no writes before. Join ends it.
func (g *Galera) Cut(s *Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := isolate(ctx, s, "1"); err != nil {
		return fmt.Errorf("cutting off a node: %w", err)
	}
	for {
		is, err := stateOf(ctx, s)
		if err == nil && is.component == "non-Primary" {
			return nil
		}
		if rest(ctx) != nil {
			return fmt.Errorf("cutting off a node: it is in a state of %v (%v)", is, err)
		}
	}
}

// Join connects a node with the others again. Settle then waits for it.
func (g *Galera) Join(s *Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := isolate(ctx, s, "0"); err != nil {
		return fmt.Errorf("connecting a node again: %w", err)
	}
	return nil
}

func isolate(ctx context.Context, s *Server, value string) error {
	return s.as(ctx, s.super, "", `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=`+value+`'`)
}

// Settle returns when all nodes that run are one cluster and have all its data.
func (g *Galera) Settle() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		running, settled := 0, true
		var states []nodeState
		for _, s := range g.Nodes {
			if s.Pid() == 0 {
				continue
			}
			running++
			is, err := stateOf(ctx, s)
			states = append(states, is)
			settled = settled && err == nil && is.state == "Synced" && is.component == "Primary" && is.view == states[0].view
		}
		if settled && states[0].size == strconv.Itoa(running) {
			return nil
		}
		if rest(ctx) != nil {
			return fmt.Errorf("%d nodes have not become one cluster after %v: %v", running, patience, states)
		}
	}
}

// nodeState is what a node thinks of itself.
type nodeState struct{ state, component, size, view string }

// stateOf asks for what a node answers also when it is not ready.
func stateOf(ctx context.Context, s *Server) (is nodeState, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	db, done, err := s.open(s.super, "")
	if err != nil {
		return is, err
	}
	defer done()
	for name, value := range map[string]*string{
		"wsrep_local_state_comment": &is.state, "wsrep_cluster_status": &is.component,
		"wsrep_cluster_size": &is.size, "wsrep_cluster_conf_id": &is.view,
	} {
		if err := db.QueryRowContext(ctx, `SHOW STATUS LIKE '`+name+`'`).Scan(new(string), value); err != nil {
			return is, err
		}
	}
	return is, nil
}

func (e galeraEngine) installed() error {
	if err := e.mariadbEngine.installed(); err != nil {
		return err
	}
	if e.provider == "" || e.rsync == "" {
		return fmt.Errorf("Galera or rsync is %w", ErrMissing)
	}
	return nil
}

// initialize leaves the other nodes empty: they get everything from the first.
func (e galeraEngine) initialize(s *Server) error {
	if e.node.first {
		return e.mariadbEngine.initialize(s)
	}
	return s.dir.folder("data")
}

// galeraProvider is the library's options. It takes 5 seconds, not 2, until a node gives up another one unless told otherwise.
const galeraProvider = "gcache.size=32M;evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S;evs.install_timeout=PT4S"

func (e galeraEngine) command(s *Server) ([]string, error) {
	args, err := e.mariadbEngine.command(s)
	if err != nil {
		return nil, err
	}
	if !e.node.first || e.node.started { // accounts come with the data
		args = without(args, "--init-file=")
	}
	var group []string
	for _, node := range e.node.all {
		group = append(group, node.group)
	}
	args = append(args,
		"--wsrep-on=ON",
		"--wsrep-provider="+e.provider,
		"--wsrep-cluster-name=entsession",
		"--wsrep-cluster-address=gcomm://"+strings.Join(group, ","),
		"--wsrep-node-name="+e.node.name,
		"--wsrep-node-address="+e.node.group,
		"--wsrep-sst-method=rsync",
		"--wsrep-sst-receive-address="+e.node.transfer[0],
		"--wsrep-provider-options=gmcast.listen_addr=tcp://"+e.node.group+";ist.recv_addr="+e.node.transfer[1]+";"+galeraProvider,
		"--binlog-format=ROW",
		"--innodb-autoinc-lock-mode=2",
	)
	switch {
	case e.node.first && !e.node.started:
		args = append(args, "--wsrep-new-cluster")
	case e.node.started:
		position, err := e.position(s, args)
		if err != nil {
			return nil, err
		}
		args = append(args, "--wsrep-start-position="+position)
	}
	e.node.started = true
	return args, nil
}

// acquire returns when all nodes have the database: at the others it comes a moment later.
func (e galeraEngine) acquire(ctx context.Context, s *Server, name string) error {
	if err := e.mariadbEngine.acquire(ctx, s, name); err != nil {
		return err
	}
	for _, node := range e.node.all {
		for node.server != nil && node.server.Pid() != 0 && node.server.as(ctx, s.super, name, `SELECT 1`) != nil {
			if err := rest(ctx); err != nil {
				return fmt.Errorf("a node does not get a database: %w", err)
			}
		}
	}
	return nil
}

var recovered = regexp.MustCompile(`WSREP: Recovered position: ?([0-9a-f-]{36}:-?[0-9]+)`)

// position is how far a node had come when it ended, as the packages' start script finds out. With it a node gets only what it has missed.
func (e galeraEngine) position(s *Server, args []string) (string, error) {
	out, err := s.dir.output(append(args[:len(args):len(args)], "--wsrep-recover"))
	if m := recovered.FindSubmatch(out); m != nil {
		return string(m[1]), nil
	}
	return "", fmt.Errorf("looking for a node's position: %w\n%s", err, tail(string(out), 4000))
}

// without leaves out what begins with a prefix.
func without(args []string, prefix string) []string {
	var kept []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, prefix) {
			kept = append(kept, arg)
		}
	}
	return kept
}
