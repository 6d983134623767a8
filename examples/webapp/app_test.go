package main

import (
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/examples/webapp/ent"
	"github.com/entsession/entsession/examples/webapp/ent/session"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestVisitorWithoutASession(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite)
	b := s.browser(t, firefox)
	for _, path := range []string{"/", "/sign-in", "/devices", "/style.css", "/nothing"} {
		b.get(t, path)
	}
	b.post(t, "/cart/empty")
	b.post(t, "/cart/remove", "item", "tea")
	b.post(t, "/cart/add", "item", "no such thing")
	b.post(t, "/sign-in", "name", " ")
	b.post(t, "/sign-out")
	require.Empty(t, b.cookie(t))
	require.Zero(t, s.rows(t), "who stores nothing has no row")
}

func TestCounterAndCart(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		b := newSite(t, kind).browser(t, firefox)
		require.Equal(t, "0", b.get(t, "/").text(t, "counter"))
		require.Equal(t, "1", b.post(t, "/counter").text(t, "counter"))
		require.Equal(t, "2", b.post(t, "/counter").text(t, "counter"))

		b.post(t, "/cart/add", "item", "tea")
		b.post(t, "/cart/add", "item", "tea")
		p := b.post(t, "/cart/add", "item", "lemons")
		require.Equal(t, "2", p.text(t, "in-cart-tea"))
		require.Equal(t, "€10.80", p.text(t, "total"))
		p = b.post(t, "/cart/remove", "item", "tea")
		require.Equal(t, "1", p.text(t, "in-cart-tea"))
		require.Equal(t, http.StatusNotFound, b.post(t, "/cart/add", "item", "gold").Status)

		p = b.post(t, "/cart/empty")
		require.Equal(t, "€0.00", p.text(t, "total"))
		require.Equal(t, "2", p.text(t, "counter"), "the rest stays")
	})
}

func TestSignInKeepsTheCartUnderANewID(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		victim, attacker := s.browser(t, firefox), s.browser(t, firefox)
		attacker.post(t, "/counter")
		planted := attacker.cookie(t)
		victim.setCookie(t, planted)
		victim.post(t, "/cart/add", "item", "honey")

		p := victim.signIn(t, "Ada")
		require.Equal(t, "Ada", p.text(t, "name"))
		require.Equal(t, "1", p.text(t, "in-cart-honey"))
		require.NotEmpty(t, victim.cookie(t))
		require.NotEqual(t, planted, victim.cookie(t))
		requireSignedOut(t, attacker.get(t, "/"))
		require.Len(t, victim.get(t, "/devices").devices(t), 1)
	})
}

func TestSignOutOneDevice(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		laptop, phone := s.browser(t, firefox), s.browser(t, safari)
		laptop.signIn(t, "Ada")
		phone.post(t, "/counter")
		phone.signIn(t, "Ada")

		all := laptop.get(t, "/devices").devices(t)
		require.Len(t, all, 2)
		require.Equal(t, "Firefox on Linux", all[0].browser)
		require.True(t, all[0].this)
		require.Equal(t, "Safari on iPhone", all[1].browser)
		require.False(t, all[1].this)
		require.True(t, phone.get(t, "/devices").devices(t)[0].key == all[1].key, "the other one sees itself first")

		p := laptop.post(t, "/devices/sign-out", "key", all[1].key)
		require.Contains(t, p.Body, "That device is signed out.")
		require.Len(t, p.devices(t), 1)
		requireSignedOut(t, phone.post(t, "/counter"))
		require.Empty(t, phone.cookie(t))
		require.Equal(t, "0", phone.get(t, "/").text(t, "counter"), "a visitor like any other")

		require.Contains(t, laptop.post(t, "/devices/sign-out", "key", all[1].key).Body, "signed out already")
		p = laptop.post(t, "/devices/sign-out", "key", all[0].key)
		require.Equal(t, "/sign-in", p.Path)
		require.Contains(t, p.Body, "You are signed out.")
		require.Empty(t, laptop.cookie(t))
	})
}

func TestSignOutAllOthers(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		laptop, phone, desk, stranger := s.browser(t, firefox), s.browser(t, safari), s.browser(t, edge), s.browser(t, edge)
		for _, b := range []*browser{laptop, phone, desk} {
			b.signIn(t, "Ada")
		}
		stranger.signIn(t, "ada")
		require.Len(t, laptop.get(t, "/devices").devices(t), 3)

		p := laptop.post(t, "/devices/sign-out-others")
		require.Contains(t, p.Body, "All your other devices are signed out.")
		require.Len(t, p.devices(t), 1)
		requireSignedOut(t, phone.get(t, "/"))
		requireSignedOut(t, desk.get(t, "/devices"))
		require.Equal(t, "ada", stranger.get(t, "/").text(t, "name"))
		require.Equal(t, "Ada", laptop.get(t, "/").text(t, "name"))
	})
}

func TestSignOut(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		b, copied := s.browser(t, firefox), s.browser(t, firefox)
		b.signIn(t, "Ada")
		copied.setCookie(t, b.cookie(t))
		require.Equal(t, "Ada", copied.get(t, "/").text(t, "name"))

		p := b.post(t, "/sign-out")
		require.Equal(t, "/sign-in", p.Path)
		require.Contains(t, p.Body, "You are signed out.")
		require.Empty(t, b.cookie(t))
		requireSignedOut(t, copied.get(t, "/"))
	})
}

func TestNobodySignsOutAStranger(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		ada, eve := s.browser(t, firefox), s.browser(t, edge)
		ada.signIn(t, "Ada")
		eve.signIn(t, "Eve")
		key := ada.get(t, "/devices").devices(t)[0].key
		require.Contains(t, eve.post(t, "/devices/sign-out", "key", key).Body, "signed out already")
		require.Equal(t, "Ada", ada.get(t, "/").text(t, "name"))
	})
}

func TestAnotherPersonBeginsAnew(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		b := newSite(t, kind).browser(t, firefox)
		b.signIn(t, "Ada")
		b.post(t, "/counter")
		before := b.cookie(t)
		require.Equal(t, "1", b.signIn(t, "Ada").text(t, "counter"), "Ada is signed in already")
		require.Equal(t, before, b.cookie(t))

		p := b.signIn(t, "Grace")
		require.Equal(t, "Grace", p.text(t, "name"))
		require.Equal(t, "0", p.text(t, "counter"))
		require.NotEqual(t, before, b.cookie(t))
		b.setCookie(t, before)
		requireSignedOut(t, b.get(t, "/"))
	})
}

func TestEveryClickCounts(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		b := s.browser(t, firefox)
		b.signIn(t, "Ada")
		var clicks sync.WaitGroup
		for range 8 {
			clicks.Go(func() {
				for range 5 {
					// The answer is a redirect; what matters is that it was no error.
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/counter", nil)
					if err != nil {
						t.Error(err)
						return
					}
					r.AddCookie(&http.Cookie{Name: "webapp", Value: b.cookie(t)})
					answer, err := s.Client().Transport.RoundTrip(r)
					if err != nil {
						t.Error(err)
						return
					}
					_ = answer.Body.Close()
					if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/" {
						t.Errorf("%s to %s", answer.Status, answer.Header.Get("Location"))
					}
				}
			})
		}
		clicks.Wait()
		require.Equal(t, "40", b.get(t, "/").text(t, "counter"))
	})
}

func TestExpired(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		b := s.browser(t, firefox)
		b.signIn(t, "Ada")
		_, err := s.db.client.Session.Update().SetTimeout(time.Now().Unix() - 10).Save(t.Context())
		require.NoError(t, err)
		requireSignedOut(t, b.post(t, "/counter"))
		b.signIn(t, "Ada")
		require.Len(t, b.get(t, "/devices").devices(t), 1, "the expired one is no device")
	})
}

func TestLastSeen(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		b := s.browser(t, firefox)
		b.signIn(t, "Ada")
		row := func() *ent.Session {
			row, err := s.db.client.Session.Query().Where(session.HasUser()).Only(t.Context())
			require.NoError(t, err)
			return row
		}
		require.NoError(t, row().Update().SetLastSeen(time.Now().UTC().Add(-2*time.Hour)).Exec(t.Context()))
		b.agent = edge
		before := row().Version
		b.get(t, "/")
		after := row()
		require.NotEqual(t, before, after.Version)
		require.WithinDuration(t, time.Now(), after.LastSeen, 30*time.Second)
		require.Equal(t, edge, after.UserAgent)
		require.Equal(t, "Edge on Windows", b.get(t, "/devices").devices(t)[0].browser)
		require.Equal(t, after.Version, row().Version, "reading costs no write each time")
	})
}

// TestDeletedUser: the foreign key takes the sessions along.
func TestDeletedUser(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		b := s.browser(t, firefox)
		b.signIn(t, "Ada")
		n, err := s.db.client.User.Delete().Exec(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		requireSignedOut(t, b.post(t, "/counter"))
		require.Zero(t, s.rows(t))
	})
}

func TestAddressBehindAProxy(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite, netip.MustParsePrefix("127.0.0.0/8"))
	b := s.browser(t, firefox)
	b.header.Set("X-Forwarded-For", "203.0.113.9, 192.0.2.1")
	b.signIn(t, "Ada")
	p := b.get(t, "/devices")
	require.Contains(t, p.Body, "192.0.2.1")
	require.NotContains(t, p.Body, "203.0.113.9")
}

func TestStoreOutOfReach(t *testing.T) {
	t.Parallel()
	s := newSite(t, sqlite)
	b := s.browser(t, firefox)
	b.signIn(t, "Ada")
	id := b.cookie(t)
	require.NoError(t, s.db.sessions.Untyped().Close())
	for _, p := range []page{b.get(t, "/"), b.get(t, "/sign-in"), b.post(t, "/counter"), b.post(t, "/sign-in", "name", "Ada"), b.post(t, "/sign-out")} {
		require.Equal(t, http.StatusServiceUnavailable, p.Status)
		require.Contains(t, p.Body, "Please try again")
		require.NotContains(t, p.Body, id)
	}
	require.Equal(t, id, b.cookie(t), "a fault is no reason to lose the session")
	require.Equal(t, http.StatusServiceUnavailable, s.browser(t, edge).post(t, "/counter").Status)
}

func TestUnreadablePayload(t *testing.T) {
	onEach(t, func(t *testing.T, kind dbtest.Kind) {
		s := newSite(t, kind)
		b := s.browser(t, firefox)
		b.signIn(t, "Ada")
		ada, err := s.db.user(t.Context(), "Ada")
		require.NoError(t, err)
		_, err = s.db.sessions.Create(t.Context(), []byte("\x00 no JSON"), session.SetUserID(ada.ID))
		require.NoError(t, err)
		all := b.get(t, "/devices").devices(t)
		require.Len(t, all, 2)
		require.Equal(t, "Unknown browser", all[1].browser)
		require.Len(t, b.post(t, "/devices/sign-out", "key", all[1].key).devices(t), 1)
	})
}
