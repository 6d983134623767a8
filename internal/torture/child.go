package torture

import (
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"sync"
)

// childVar tells a process that it is to be a client, or a locker of a file (lock.go).
const childVar = "ENTSESSION_TORTURE_CHILD"

// Child makes this process what a campaign started it as, and ends it then. In a process that is none of a campaign's it does
// nothing. Whoever runs a campaign calls it first: main, or TestMain.
func Child() {
	role := os.Getenv(childVar)
	var err error
	switch role {
	case "":
		return
	case "client":
		err = serve()
	case "locker":
		err = lockFile()
	default:
		err = fmt.Errorf("%s=%s: no such role", childVar, role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", role+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve answers requests until there are no more.
func serve() error {
	in, out := gob.NewDecoder(os.Stdin), gob.NewEncoder(os.Stdout)
	var s setup
	if err := in.Decode(&s); err != nil {
		return fmt.Errorf("reading what to do: %w", err)
	}
	c, err := openClient(context.Background(), s)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	reply := func(a answer) {
		mu.Lock()
		defer mu.Unlock()
		if err := out.Encode(a); err != nil {
			os.Exit(1) // nobody is left to be told
		}
	}
	reply(answer{}) // it is ready
	for {
		var r request
		if err := in.Decode(&r); err != nil {
			return nil // the campaign is over, however it ended
		}
		if r.Op == opClose { // no other is under way
			reply(c.do(r))
			continue
		}
		go func() { reply(c.do(r)) }()
	}
}
