// Package torture is the fault campaign: client processes work on a few hundred sessions while their database is killed, paused, cut
// off and filled up, and every answer is written down and checked. Nothing is mocked: the servers, files, processes and connections
// are real ones. The command in internal/cmd/torture runs it for as long as it is told to; the tests of this package are its short form.
//
// The campaign's own process draws the calls and the faults from one seed and sends each call to a client: a process of its own
// (child.go, process.go) or a store in this one (client.go). It keeps the history of each session and, when a session has had enough
// calls, looks at it once more and checks that there is an order of all its calls that explains their answers (internal/history).
// What fails then, or breaks another promise, is a [Violation].
//
// Start reading at target.go (what a campaign works on) and campaign.go (what it does). worker.go draws the calls, sessions.go keeps
// what is known of the sessions, judge.go looks at each answer, retire.go at each session, weather.go knows when a call may fail, end.go
// has the last look. proxy.go stands between clients and servers; target_*.go are the targets, each with its faults.
package torture
