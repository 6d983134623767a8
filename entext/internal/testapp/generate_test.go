package testapp

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// copied is this module in another folder.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(".")))
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	out, err := run(t, dir, "go", "mod", "edit", "-replace=github.com/entsession/entsession="+root)
	require.NoError(t, err, out)
	return dir
}

func generated(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "ent"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(text)
		return err
	}))
	return files
}

// TestGenerated: what is here is what comes out, by either way that the documentation names.
func TestGenerated(t *testing.T) {
	t.Parallel()
	want := generated(t, ".")
	for name, args := range map[string][]string{
		"entc.go": {"go", "generate", "./ent"},
		"tool":    {"go", "tool", "entgen", "./ent/schema"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			require.NoError(t, os.Remove(filepath.Join(dir, "ent", "session_store.go")))
			require.NoError(t, os.Remove(filepath.Join(dir, "ent", "session", "columns.go")))
			out, err := run(t, dir, args...)
			require.NoError(t, err, out)
			got := generated(t, dir)
			for path := range want {
				require.Equal(t, want[path], got[path], "%s: run go generate ./... in this module", path)
			}
			require.Len(t, got, len(want))
		})
	}
}

// compile compiles this module with a file in another's place, or besides.
func compile(t *testing.T, path, text string) (string, error) {
	t.Helper()
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	dir := t.TempDir()
	instead := filepath.Join(dir, "instead.go")
	require.NoError(t, os.WriteFile(instead, []byte(text), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: instead}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	return run(t, ".", "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", os.DevNull, "./"+filepath.Dir(strings.TrimPrefix(path, mustAbs(t)+"/")))
}

func mustAbs(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	require.NoError(t, err)
	return dir
}

// TestTypes: a wrong type does not compile.
func TestTypes(t *testing.T) {
	t.Parallel()
	program := func(body string) string {
		return `package main

import (
	"context"

	"github.com/entsession/entsession/entext/internal/testapp/ent"
	"github.com/entsession/entsession/entext/internal/testapp/ent/session"
	"github.com/entsession/entsession/entext/internal/testapp/ent/stafflogin"
	"github.com/entsession/entsession/entext/internal/testapp/types"
)

var (
	_ = session.SetDevice
	_ = stafflogin.SetBadge
	_ types.Role
)

func main() {}

func use(ctx context.Context, customers *ent.SessionStore, staff *ent.StaffLoginStore, s *ent.StoredSession) {
	` + body + `
}
`
	}
	out, err := compile(t, "tryout/main.go", program(`
		_, _ = customers.Create(ctx, nil, session.SetUserID(42), session.SetRole(types.Role("x")), session.SetState(session.StateNew))
		_, _ = customers.Revoke(ctx, session.UserID(42))
		var entity *ent.Session = s.Session
		_ = *entity.UserID`))
	require.NoError(t, err, out)
	for body, want := range map[string]string{
		`_, _ = customers.Create(ctx, nil, session.SetUserID("42"))`:                    `cannot use 42 (untyped string constant) as int value`,
		`var r string; _ = customers.Save(ctx, s, session.SetRole(r))`:                  `cannot use r (variable of type string) as types.Role value`,
		`_, _ = customers.Create(ctx, nil, stafflogin.SetBadge("7"))`:                   `session.Column value in argument to `,
		`_, _ = staff.Rotate(ctx, "", session.SetUserID(42))`:                           `stafflogin.Column value in argument to `,
		`s.Set(stafflogin.SetShift(1))`:                                                 `session.Column value in argument to `,
		`_, _ = customers.Revoke(ctx, stafflogin.Badge("7"))`:                           `predicate.Session value in argument to `,
		`for range staff.List(ctx, session.UserID(42)) { }`:                             `predicate.StaffLogin value in argument to `,
		`_ = staff.Save(ctx, s)`:                                                        `StoredStaffLogin value in argument to `,
		`_ = session.SetTimeout(1)`:                                                     `undefined: session.SetTimeout`,
		`_ = stafflogin.ClearBadge()`:                                                   `undefined: stafflogin.ClearBadge`,
		`_, _ = staff.Update(ctx, "", func(s *ent.StoredSession) error { return nil })`: `cannot use func`,
	} {
		out, err := compile(t, "tryout/main.go", program(body))
		require.Error(t, err, body)
		require.Contains(t, strings.ReplaceAll(out, `"`, ""), want, body)
	}
}

// TestVersions: code of another version does not compile, and the line that fails says what to do.
func TestVersions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("ent/session_store.go")
	require.NoError(t, err)
	changed := strings.Replace(string(text), "SupportPackageIsVersion1", "SupportPackageIsVersion2", 1)
	require.NotEqual(t, string(text), changed)
	out, err := compile(t, "ent/session_store.go", changed)
	require.Error(t, err)
	require.Contains(t, out, "undefined: typedstore.SupportPackageIsVersion2")
}
