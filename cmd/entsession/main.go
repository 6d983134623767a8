// Command entsession looks after sessions tables: it migrates, purges, lists, revokes and counts. `entsession --help` tells more.
package main

import (
	"context"
	"os"

	"github.com/entsession/entsession/internal/cli"
)

func main() {
	ctx := cli.Interruptible(context.Background())
	os.Exit(cli.Run(ctx, os.Args[1:], cli.Terminal()))
}
