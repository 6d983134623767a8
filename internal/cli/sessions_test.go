package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestList(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		store := d.store(t)
		none := d.run(t, "list")
		require.Empty(t, none.ok(t))
		require.Equal(t, "no live session\n", none.err)
		require.Empty(t, d.run(t, "list", "--quiet").err)

		before := time.Now().Add(-time.Minute)
		alice := d.create(t, store, entsession.Set(session.FieldSubject, "alice"))
		nobody := d.create(t, store)
		gone := d.create(t, store, entsession.Set(session.FieldSubject, "alice"))
		require.NoError(t, store.Delete(t.Context(), gone.ID()))

		all := d.list(t)
		require.Equal(t, setOf(alice, nobody), handles(all))
		for _, l := range all {
			require.Equal(t, len(payload), l.Bytes)
			created, err := time.Parse(time.RFC3339, *l.Created)
			require.NoError(t, err)
			require.WithinRange(t, created, before, time.Now().Add(time.Minute))
			expires, err := time.Parse(time.RFC3339, l.Expires)
			require.NoError(t, err)
			require.WithinRange(t, expires, created.Add(30*time.Minute), created.Add(32*time.Minute))
			if l.Handle == handle(alice.Key()) {
				require.Equal(t, map[string]any{"subject": "alice"}, l.Columns)
			} else {
				require.Equal(t, map[string]any{"subject": nil}, l.Columns)
			}
		}

		human := d.run(t, "list", "--subject", "alice").ok(t)
		moment := `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]{3,4}`
		require.Regexp(t, `^HANDLE            CREATED                  EXPIRES                  SIZE  SUBJECT\n`+
			handle(alice.Key())+`  `+moment+`  `+moment+`  29 B  alice\n$`, human)
		require.Len(t, d.list(t, "--limit", "1"), 1)
		require.Empty(t, d.list(t, "--subject", "bob"))
		require.Equal(t, setOf(nobody), handles(d.list(t, "--null", "subject")))
		require.Empty(t, d.list(t, "--where", "subject="), "NULL is not the empty text")
		require.Equal(t, setOf(alice), handles(d.list(t, "--handle", handle(alice.Key())[:10])))
		d.run(t, "list", "--handle", handle(alice.Key()), "--subject", "bob").fails(t, exitHandle, "no live session has the handle")
		d.run(t, "list", "--handle", handle(gone.Key())).fails(t, exitHandle, "no live session has the handle")
	})
}

// TestWhere compares each column as what it is. Among the rows are those that a database's own rules would confuse: for
// MySQL 0 equals any word, and 2^53 equals 2^53+1 as a text.
func TestWhere(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		store := d.store(t)
		d.exec(t, "ALTER TABLE sessions ADD COLUMN tenant bigint")
		d.exec(t, "ALTER TABLE sessions ADD COLUMN level integer DEFAULT 0")
		d.exec(t, "ALTER TABLE sessions ADD COLUMN admin boolean")
		d.exec(t, "ALTER TABLE sessions ADD COLUMN share double precision")
		d.exec(t, "ALTER TABLE sessions ADD COLUMN price decimal(10,2)")
		d.exec(t, "ALTER TABLE sessions ADD COLUMN seen timestamp NULL")
		d.exec(t, "ALTER TABLE sessions ADD COLUMN agent varchar(100)")

		set := entsession.Set
		big := int64(1) << 53
		a := d.create(t, store, set("tenant", big), set("level", 0), set("admin", true), set("share", 0.5), set("price", "9.90"), set("agent", "Firefox"))
		b := d.create(t, store, set("tenant", big+1), set("level", 3), set("admin", false), set("share", 0.25), set("price", "10.00"), set("agent", "a\x1b[31mred\nline"))

		for _, c := range []struct {
			where string
			want  map[string]bool
		}{
			{"tenant=" + strconv.FormatInt(big, 10), setOf(a)},
			{"tenant=" + strconv.FormatInt(big+1, 10), setOf(b)},
			{"tenant=7", setOf()},
			{"level=0", setOf(a)},
			{"level=3", setOf(b)},
			{"admin=true", setOf(a)},
			{"admin=0", setOf(b)},
			{"share=0.25", setOf(b)},
			{"price=9.9", setOf(a)},
			{"agent=Firefox", setOf(a)},
			{"agent=a\x1b[31mred\nline", setOf(b)},
			{"agent=x' OR '1'='1", setOf()},
		} {
			require.Equal(t, c.want, handles(d.list(t, "--where", c.where)), c.where)
		}
		require.Equal(t, setOf(a), handles(d.list(t, "--where", "level=0", "--where", "admin=true", "--null", "seen")))
		require.Empty(t, d.list(t, "--where", "level=0", "--where", "admin=false"))

		for where, says := range map[string]string{
			"level=abc":      `column "level" holds whole numbers, and "abc" is none`,
			"level=":         `column "level" holds whole numbers, and "" is none`,
			"level=1 OR 1=1": `holds whole numbers`,
			"share=much":     `column "share" holds numbers`,
			"price=much":     `column "price" holds numbers`,
			"seen=now":       `column "seen" of type`,
			"levle=1":        `table sessions has no column "levle"; its extra columns are: subject, tenant, level, admin, share, price, seen, agent`,
			"application=x":  "by --application",
			"id=x":           "by --handle",
			"data=x":         "the store's own",
			"=x":             "write column=value",
			"level":          "write column=value",
		} {
			d.run(t, "list", "--where", where).fails(t, exitUsage, says)
		}
		d.run(t, "list", "--null", "id").fails(t, exitUsage, "--null: a session is chosen by --handle")

		// What a terminal would obey is shown, not sent.
		human := d.run(t, "list", "--where", "level=3").ok(t)
		require.Contains(t, human, `a\x1b[31mred\nline`)
		require.Equal(t, 2, strings.Count(human, "\n"))
		require.Contains(t, human, "NULL")
		columns := d.list(t, "--where", "level=3")[0].Columns
		require.Equal(t, "a\x1b[31mred\nline", columns["agent"])
		require.EqualValues(t, 3, columns["level"])
		require.Nil(t, columns["seen"])
	})
}

func TestListMany(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		d.store(t)
		d.fill(t, 2*lookAhead+50, "", "4102444800")
		human := d.run(t, "list").ok(t)
		lines := strings.Split(strings.TrimSuffix(human, "\n"), "\n")
		require.Len(t, lines, 2*lookAhead+51)
		seen := map[string]bool{}
		for _, line := range lines[1:] {
			require.Equal(t, strings.Index(lines[0], "SUBJECT"), strings.Index(line, "NULL"), line)
			seen[line[:handleLength]] = true
		}
		require.Len(t, seen, 2*lookAhead+50)
		require.Len(t, d.list(t, "--limit", "250"), 250)
	})
}

func TestRevoke(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		store := d.store(t)
		shop := d.open(t, "application=shop")
		alice1 := d.create(t, store, entsession.Set(session.FieldSubject, "alice"))
		alice2 := d.create(t, store, entsession.Set(session.FieldSubject, "alice"))
		bob := d.create(t, store, entsession.Set(session.FieldSubject, "bob"))
		theirs := d.create(t, shop, entsession.Set(session.FieldSubject, "alice"))

		d.run(t, "revoke", "--yes").fails(t, exitUsage, "which sessions?")
		d.run(t, "revoke", "--all").fails(t, exitUsage, "there is no terminal")
		d.run(t, "revoke", "--all", "--subject", "alice", "--yes").fails(t, exitUsage, "--all excludes --subject")
		d.run(t, "revoke", "--subject", "", "--yes").fails(t, exitUsage, "--subject is empty")
		d.run(t, "revoke", "--handle", handle(theirs.Key()), "--yes").fails(t, exitHandle, "no live session")
		require.Len(t, d.list(t), 3)

		require.Equal(t, "revoked 1 session\n", d.run(t, "revoke", "--handle", handle(alice1.Key()), "--yes").ok(t))
		_, err := store.Load(t.Context(), alice1.ID())
		require.ErrorIs(t, err, entsession.ErrNotFound)
		require.JSONEq(t, `{"revoked": 1}`, d.run(t, "revoke", "--subject", "alice", "--yes", "--json").ok(t))
		_, err = store.Load(t.Context(), alice2.ID())
		require.ErrorIs(t, err, entsession.ErrNotFound)
		require.Equal(t, "revoked 0 sessions\n", d.run(t, "revoke", "--subject", "alice", "--yes").ok(t))
		require.Equal(t, setOf(bob), handles(d.list(t)))
		require.Empty(t, d.run(t, "revoke", "--all", "--yes", "--quiet").ok(t))
		require.Empty(t, d.list(t))

		require.Equal(t, setOf(theirs), handles(d.list(t, "--application", "shop")))
		require.Equal(t, "revoked 1 session\n", d.run(t, "revoke", "--all", "--yes", "--application", "shop").ok(t))
		_, err = shop.Load(t.Context(), theirs.ID())
		require.ErrorIs(t, err, entsession.ErrNotFound)
	})
}

func TestConfirm(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		store := d.store(t)
		ask := func(answer string, args ...string) result {
			return d.runOn(t, Streams{In: strings.NewReader(answer), InIsTerminal: true, ErrIsTerminal: true}, d.dsn, append([]string{"revoke"}, args...)...)
		}
		d.create(t, store, entsession.Set(session.FieldSubject, "alice"))
		for _, no := range []string{"", "\n", "n\n", "nay\n", "yes please\n"} {
			r := ask(no, "--all")
			require.Equal(t, exitFailure, r.code)
			end := ""
			if no == "" {
				end = "\n" // the terminal shows no line break
			}
			require.Equal(t, "Revoke 1 session in table sessions? [y/N] "+end+"entsession: nothing was revoked\n", r.err)
		}
		require.Len(t, d.list(t), 1)
		require.Contains(t, ask("n\n", "--subject", "bob").err, "Revoke what matches by then (now: no session)")
		r := ask("Y\n", "--subject", "alice")
		require.Equal(t, "revoked 1 session\n", r.ok(t))
		require.Empty(t, d.list(t))

		d.fill(t, mostCounted+1, "shop", "4102444800")
		require.Contains(t, ask("n\n", "--all", "--application", "shop").err, "Revoke more than 1,000 sessions of application shop in table sessions?")
	})
}

// twins are two ids whose handles begin alike.
func twins() (a, b string) {
	seen := map[string]string{}
	for i := 0; ; i++ {
		id := fmt.Sprintf("twin-%d", i)
		sum := sha256.Sum256([]byte(id))
		begin := hex.EncodeToString(sum[:])[:shortestHandle]
		if other, ok := seen[begin]; ok {
			return other, id
		}
		seen[begin] = id
	}
}

func TestHandle(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		store := d.store(t)
		d.create(t, store)
		one, two := twins()
		for _, id := range []string{one, two} {
			d.exec(t, fmt.Sprintf("INSERT INTO sessions (id, data, timeout) VALUES ('%s', 'x', 4102444800)", id))
		}
		begin := handle(one)[:shortestHandle]
		d.run(t, "revoke", "--yes", "--handle", begin).fails(t, exitHandle, "2 sessions have a handle that begins with "+begin)
		require.Len(t, d.list(t), 3)
		require.Equal(t, "revoked 1 session\n", d.run(t, "revoke", "--yes", "--handle", digest(one)).ok(t), "the whole of it")
		require.Equal(t, "revoked 1 session\n", d.run(t, "revoke", "--yes", "--handle", begin).ok(t), "the other one is alone now")

		for handle, says := range map[string]string{
			"":                       "too short",
			"abcde":                  "too short",
			"ABCDEF":                 "that is no handle",
			"abcdeg":                 "that is no handle",
			strings.Repeat("a", 65):  "that is no handle",
			"000000":                 "no live session has the handle 000000",
			"%":                      "that is no handle",
			"aSecretIdOfSomeSession": "that is no handle",
		} {
			r := d.run(t, "revoke", "--yes", "--handle", handle)
			require.Contains(t, r.err, says)
			require.NotEqual(t, exitOK, r.code)
			require.NotContains(t, r.err, "aSecret")
		}
	})
}

// TestPlainIDs looks at a table whose ids are stored as they are, also with a configuration that doesn't know: nothing shows
// as much as the beginning of one.
func TestPlainIDs(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		d.store(t)
		store := d.open(t, "hash_ids=0")
		one, two := d.create(t, store), d.create(t, store)
		require.Equal(t, one.ID(), one.Key())
		for dsn, s := range map[string]*entsession.Session{d.with("hash_ids=0"): one, d.dsn: two} {
			require.Contains(t, d.runOn(t, Streams{}, dsn, "list", "--json").ok(t), handle(s.Key()))
			require.Contains(t, d.runOn(t, Streams{}, dsn, "list").ok(t), handle(s.Key()))
			d.runOn(t, Streams{}, dsn, "stats").ok(t)
			require.Equal(t, "revoked 1 session\n", d.runOn(t, Streams{}, dsn, "revoke", "--yes", "--handle", handle(s.Key())).ok(t))
			_, err := store.Load(t.Context(), s.ID())
			require.ErrorIs(t, err, entsession.ErrNotFound)
		}
	})
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		store := d.store(t)
		live := d.create(t, store)
		d.fill(t, 1234, "", "1000000000")
		d.fill(t, 5, "shop", "1000000000")
		require.Equal(t, "purged 1,234 rows\n", d.runOn(t, Streams{}, d.with("purge_batch=100&autopurge=0"), "purge").ok(t))
		require.JSONEq(t, `{"purged": 0}`, d.run(t, "purge", "--json").ok(t))
		require.Empty(t, d.run(t, "purge", "--quiet", "--application", "shop").ok(t))
		require.Equal(t, setOf(live), handles(d.list(t)))
		require.Equal(t, 1, rowCount(t, d.Admin(t), "1 = 1"))
	})
}

// TestNothingOnTheSide shows that a command that only looks purges nothing.
func TestNothingOnTheSide(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		d.store(t)
		d.fill(t, 10, "", "1000000000")
		for _, args := range [][]string{{"list"}, {"stats"}, {"config", "check"}, {"migrate", "status"}, {"revoke", "--all", "--yes"}} {
			d.runOn(t, Streams{}, d.with("autopurge_probability=1"), args...).ok(t)
		}
		require.Equal(t, 10, rowCount(t, d.Admin(t), "1 = 1"))
	})
}

func TestStats(t *testing.T) {
	type usage struct {
		Application          string
		Live, Expired, Bytes int
		Tombstones           int
		Oldest               *string
	}
	type stats struct {
		Table        string
		Applications []usage
		Total        usage
	}
	each(t, func(t *testing.T, d *database) {
		store := d.store(t)
		require.Equal(t, stats{Table: "sessions", Applications: []usage{}}, decode[stats](t, d.run(t, "stats", "--json")))
		require.Equal(t, "APPLICATION  LIVE  EXPIRED  TOMBSTONES  SIZE  OLDEST\n"+
			"TOTAL           0        0           0   0 B  -\n", d.run(t, "stats").ok(t))

		first := d.create(t, store)
		gone := d.create(t, store)
		require.NoError(t, store.Delete(t.Context(), gone.ID()))
		single := d.run(t, "stats").ok(t)
		require.NotContains(t, single, "TOTAL", "one application is its own total")
		d.fill(t, 1200, "shop", "1000000000")

		got := decode[stats](t, d.run(t, "stats", "--json"))
		oldest := first.Created().UTC().Format(time.RFC3339)
		require.Equal(t, []usage{
			{Application: "", Live: 1, Tombstones: 1, Bytes: len(payload), Oldest: &oldest},
			{Application: "shop", Expired: 1200, Bytes: 1200 * len(payload)},
		}, got.Applications)
		require.Equal(t, usage{Live: 1, Expired: 1200, Tombstones: 1, Bytes: 1201 * len(payload), Oldest: &oldest}, got.Total)
		require.Regexp(t, regexp.MustCompile(`^APPLICATION  LIVE  EXPIRED  TOMBSTONES    SIZE  OLDEST
\(none\)          1        0           1    29 B  \d{4}-\d\d-\d\d .*
shop            0    1,200           0  34 KiB  -
TOTAL           1    1,200           1  34 KiB  \d{4}-.*
$`), d.run(t, "stats").ok(t))
	})
}

// TestBareTable works on a table of three columns that something else made.
func TestBareTable(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		d.exec(t, "CREATE TABLE visits (id char(72) PRIMARY KEY, data text, timeout integer, tenant integer)")
		store := d.open(t, "table=visits")
		s := d.create(t, store, entsession.Set("tenant", 7))
		table := []string{"--table", "visits"}
		all := d.list(t, table...)
		require.Equal(t, setOf(s), handles(all))
		require.Nil(t, all[0].Created)
		require.EqualValues(t, 7, all[0].Columns["tenant"])
		require.Contains(t, d.run(t, append(table, "stats")...).ok(t), "(none)")
		d.run(t, append(table, "list", "--subject", "alice")...).fails(t, exitUsage, `--subject: table visits has no column "subject"; its extra columns are: tenant`)
		require.Equal(t, "revoked 1 session\n", d.run(t, append(table, "revoke", "--where", "tenant=7", "--yes")...).ok(t))
		require.Equal(t, "purged 0 rows\n", d.run(t, append(table, "purge")...).ok(t))
		d.run(t, append(table, "list", "--application", "shop")...).fails(t, exitFailure, `no column "application", which Application needs`)
		d.run(t, append(table, "config", "check", "--application", "shop")...).fails(t, exitTable, `no column "application", which Application needs`)
	})
}

// TestHandleAmongMany has more ids than are read at a time.
func TestHandleAmongMany(t *testing.T) {
	t.Parallel()
	for _, k := range dbtest.Kinds()[:2] { // one that pads ids, and one that doesn't
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t, k)
			d.store(t)
			d.fill(t, keysPage+10, "", "4102444800")
			last := fmt.Sprintf("x%043d", keysPage+9)
			require.Equal(t, map[string]bool{handle(last): true}, handles(d.list(t, "--handle", handle(last))))
		})
	}
}
