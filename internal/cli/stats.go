package cli

import (
	"cmp"
	"context"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/entsession/entsession"
)

const statsHelp = `Counts what every application has in the table, whatever --application says:

  LIVE        sessions
  EXPIRED     rows that wait for the purge
  TOMBSTONES  rows of revoked sessions, without a payload, that wait for the purge
  SIZE        of the payloads, as stored, of all rows
  OLDEST      when the oldest live session was created

It reads the whole table.

JSON: {"table", "applications": [{"application", "live", "expired", "tombstones", "bytes",
"oldest"}], "total": {the same but for the application}}`

type usageJSON struct {
	Application *string `json:"application,omitempty"`
	Live        int64   `json:"live"`
	Expired     int64   `json:"expired"`
	Tombstones  int64   `json:"tombstones"`
	Bytes       int64   `json:"bytes"`
	Oldest      *string `json:"oldest"`
}

func (a *app) statsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "stats",
		Short:   "Count live and expired sessions, per application",
		Long:    statsHelp,
		Example: "  entsession stats --config app.yaml\n  entsession stats --json | jq .total.live",
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command) (err error) {
			c, err := a.connect(ctx, cmd, false)
			if err != nil {
				return err
			}
			defer closing(c, &err)
			all, err := c.Usage(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(statsJSON(c.table.String(), all))
			}
			return a.printStats(all)
		}),
	}
}

func sum(all []entsession.Usage) entsession.Usage {
	var t entsession.Usage
	for _, u := range all {
		t.Live += u.Live
		t.Expired += u.Expired
		t.Tombstones += u.Tombstones
		t.Bytes += u.Bytes
		if t.Oldest.IsZero() || !u.Oldest.IsZero() && u.Oldest.Before(t.Oldest) {
			t.Oldest = u.Oldest
		}
	}
	return t
}

func statsJSON(table string, all []entsession.Usage) any {
	one := func(u entsession.Usage, application *string) usageJSON {
		return usageJSON{application, u.Live, u.Expired, u.Tombstones, u.Bytes, jsonTime(u.Oldest)}
	}
	out := struct {
		Table        string      `json:"table"`
		Applications []usageJSON `json:"applications"`
		Total        usageJSON   `json:"total"`
	}{table, []usageJSON{}, one(sum(all), nil)}
	for _, u := range all {
		out.Applications = append(out.Applications, one(u, &u.Application))
	}
	return out
}

func (a *app) printStats(all []entsession.Usage) error {
	g := a.grid(1, 2, 3, 4)
	row := func(name string, u entsession.Usage) error {
		return g.row(name, humanize.Comma(u.Live), humanize.Comma(u.Expired), humanize.Comma(u.Tombstones), size(u.Bytes), localTime(u.Oldest))
	}
	if err := g.row("APPLICATION", "LIVE", "EXPIRED", "TOMBSTONES", "SIZE", "OLDEST"); err != nil {
		return err
	}
	for _, u := range all {
		if err := row(cmp.Or(printable(u.Application), "(none)"), u); err != nil {
			return err
		}
	}
	if len(all) != 1 {
		if err := row("TOTAL", sum(all)); err != nil {
			return err
		}
	}
	return g.flush()
}
