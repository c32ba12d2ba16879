// Appends, reads and follows payments over HTTP with net/http. Copy what you need.
//
//	payments pay p1 100.00        appends PaymentProcessed, if there is no such payment yet
//	payments refund p1 30.00      appends PaymentRefunded, if the payment still allows it
//	payments show p1              prints the payment's events
//	payments follow place.txt     prints every payment's events, and goes on where it ended last time
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
)

var (
	base     = env("POLYLOG_URL", "http://127.0.0.1:7300") + "/v1"
	deadline = seconds(env("POLYLOG_DEADLINE", "10")) // for an append with all its tries
)

// Problem is what the store answers when it refuses; Code is the word to branch on.
type Problem struct {
	Code, Detail, NextStep, Written string
	Retry                           bool
}

func (p *Problem) Error() string { return "refused: " + p.Code + ": " + p.Detail + "; " + p.NextStep }

// OutcomeUnknown says that the events may be written, now or later. To find out, send the very same Body again.
type OutcomeUnknown struct {
	Body   []byte
	Reason error
}

func (u *OutcomeUnknown) Error() string {
	return "unknown: it is not known whether the events were written: " + u.Reason.Error()
}

// Event is an event as it is read.
type Event struct {
	Position, Version int64
	Stream, Type      string
	Data              json.RawMessage
}

// NewEvent is an event as it is appended.
type NewEvent struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data any    `json:"data"`
}

// Receipt is the answer to an append.
type Receipt struct {
	LastVersion int64
	Repeated    bool
}

// backoff waits between tries, half of them at random, so that many clients that lost a server do not come back at once.
type backoff struct{ wait time.Duration }

func (b *backoff) next() time.Duration {
	if b.wait == 0 {
		b.wait = 50 * time.Millisecond
	}
	wait := time.Duration(float64(b.wait) * (0.5 + rand.Float64()/2))
	if b.wait *= 2; b.wait > 2*time.Second {
		b.wait = 2 * time.Second
	}
	return wait
}

// Append appends events to a stream that must be at the expected version. It tries again until the deadline.
func Append(stream string, expected any, events ...NewEvent) (*Receipt, error) {
	// Ids are made once, before the first try: the store recognises them, so that no try writes a second time.
	for i := range events {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		events[i].ID = id.String()
	}
	body, err := json.Marshal(map[string]any{"expectedVersion": expected, "events": events})
	if err != nil {
		return nil, err
	}
	return send(stream, body)
}

func send(stream string, body []byte) (*Receipt, error) {
	ends := time.Now().Add(deadline)
	inDoubt, waits := false, backoff{}
	for {
		receipt := new(Receipt)
		after, err := try(http.MethodPost, "streams/"+url.PathEscape(stream), body, least(time.Until(ends), 6*time.Second), receipt)
		if err == nil {
			return receipt, nil
		}
		problem, mayPass := new(Problem), true
		if errors.As(err, &problem) {
			// Of a conflict nothing was written, by earlier tries neither: ids are looked up before versions are
			// compared. It is never tried again as it is: what it was decided on has changed.
			if problem.Code == "version_conflict" || problem.Code == "id_conflict" {
				return nil, problem
			}
			mayPass = problem.Retry
			inDoubt = inDoubt || problem.Written != "nothing"
		} else if !errors.Is(err, syscall.ECONNREFUSED) {
			inDoubt = true // cut off, or no answer: perhaps it was written
		}
		wait := waits.next()
		if wait < after {
			wait = after
		}
		if !mayPass || time.Now().Add(wait).After(ends) {
			if inDoubt {
				return nil, &OutcomeUnknown{body, err}
			}
			return nil, err
		}
		time.Sleep(wait)
	}
}

// try makes one request. The error is a *Problem where the store refused; the duration is what it asked to wait.
func try(method, path string, body []byte, patience time.Duration, answer any) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Not a plain bytes.Reader: with one, net/http would send the request again by itself on a broken connection.
	request, err := http.NewRequestWithContext(ctx, method, base+"/"+path, io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return 0, err
	}
	request.ContentLength = int64(len(body))
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	} else {
		request.Body = nil
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	after, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	if response.StatusCode < 300 {
		return 0, json.NewDecoder(response.Body).Decode(answer)
	}
	return time.Duration(after) * time.Second, problemOf(response)
}

func problemOf(response *http.Response) error {
	problem := new(Problem)
	if err := json.NewDecoder(response.Body).Decode(problem); err != nil || problem.Code == "" {
		return fmt.Errorf("status %d, not from Polylog", response.StatusCode)
	}
	return problem
}

// Read hands over all events of a stream, page by page; none if it does not exist.
func Read(stream string, handle func(Event)) error {
	page := struct {
		Events   []Event
		NextFrom int64
		AtEnd    bool
	}{NextFrom: 1}
	ends, waits := time.Now().Add(deadline), backoff{}
	for !page.AtEnd {
		page.Events = nil
		path := fmt.Sprintf("streams/%s?from=%d&limit=100", url.PathEscape(stream), page.NextFrom)
		_, err := try(http.MethodGet, path, nil, 6*time.Second, &page)
		if problem := new(Problem); errors.As(err, &problem) && problem.Code == "stream_not_found" {
			return nil
		} else if err != nil {
			// Reads change nothing: they may be tried again.
			wait := waits.next()
			if (errors.As(err, &problem) && !problem.Retry) || time.Now().Add(wait).After(ends) {
				return err
			}
			time.Sleep(wait)
			continue
		}
		for _, event := range page.Events {
			handle(event)
		}
		ends, waits = time.Now().Add(deadline), backoff{}
	}
	return nil
}

// Follow hands over the events of some categories for ever, beginning after place, with the place to go on from; event
// is nil where only the place moved, past events that are not shown. It reconnects, and ends when handle says so.
func Follow(place, categories string, handle func(place string, event *Event) (goOn bool, err error)) error {
	for waits := new(backoff); ; time.Sleep(waits.next()) {
		// a cut is no error: connect again with the last place
		if goOn, err := followOnce(&place, categories, waits, handle); !goOn || err != nil {
			return err
		}
	}
}

func followOnce(place *string, categories string, waits *backoff, handle func(string, *Event) (bool, error)) (bool, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// A heartbeat comes each 15 s: 30 s of silence mean that the connection is dead.
	silence := time.AfterFunc(30*time.Second, cancel)
	defer silence.Stop()
	query := url.Values{"from": {"beginning"}, "categories": {categories}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/subscribe?"+query.Encode(), nil)
	if err != nil {
		return false, err
	}
	if *place != "" {
		request.Header.Set("Last-Event-ID", *place)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return true, nil
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return again(problemOf(response))
	}
	frame := map[string]string{}
	for lines := bufio.NewReader(response.Body); ; silence.Reset(30 * time.Second) {
		line, err := lines.ReadString('\n')
		if err != nil {
			return true, nil
		}
		if name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":"); name != "" {
			frame[name] = strings.TrimPrefix(value, " ")
			continue
		}
		var event *Event
		switch frame["event"] {
		case "":
			frame = map[string]string{}
			continue
		case "error":
			problem := new(Problem)
			if err := json.Unmarshal([]byte(frame["data"]), problem); err != nil {
				return false, err
			}
			return again(problem)
		case "event":
			event = new(Event)
			if err := json.Unmarshal([]byte(frame["data"]), event); err != nil {
				return false, err
			}
		}
		*place, *waits = frame["id"], backoff{}
		if goOn, err := handle(*place, event); !goOn || err != nil {
			return false, err
		}
		frame = map[string]string{}
	}
}

// again says whether to connect again after an error.
func again(err error) (bool, error) {
	if problem := new(Problem); errors.As(err, &problem) && !problem.Retry {
		return false, err
	}
	return true, nil
}

func pay(payment, amount string) (*Receipt, error) {
	data := map[string]string{"amount": amount, "currency": "EUR"}
	return Append("Payment-"+payment, "noStream", NewEvent{Type: "PaymentProcessed", Data: data})
}

func refund(payment, amount string) (*Receipt, error) {
	for {
		var left, version int64
		err := Read("Payment-"+payment, func(event Event) {
			version = event.Version
			var data struct{ Amount, RefundAmount string }
			if json.Unmarshal(event.Data, &data) == nil {
				left += cents(data.Amount) - cents(data.RefundAmount)
			}
		})
		if err != nil {
			return nil, err
		}
		if cents(amount) > left {
			return nil, fmt.Errorf("refused: %d.%02d is left of the payment", left/100, left%100)
		}
		data := map[string]string{"refundAmount": amount}
		receipt, err := Append("Payment-"+payment, version, NewEvent{Type: "PaymentRefunded", Data: data})
		if problem := new(Problem); errors.As(err, &problem) && problem.Code == "version_conflict" {
			fmt.Fprintln(os.Stderr, "somebody was faster: reading again")
			continue
		}
		return receipt, err
	}
}

func printFollowing(file string, count int) error {
	place, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return Follow(string(place), "Payment", func(place string, event *Event) (bool, error) {
		if event != nil {
			fmt.Println(event.Position, event.Stream, event.Version, event.Type)
			count--
		}
		// Kept after what it stands for is done: a crash in between repeats one event, none is lost. Where a database
		// takes what you derive, keep the place in the same transaction, and nothing is repeated either.
		if err := os.WriteFile(file+".new", []byte(place), 0o644); err != nil {
			return false, err
		}
		return event == nil || count != 0, os.Rename(file+".new", file)
	})
}

func main() {
	rand.Seed(time.Now().UnixNano()) // before Go 1.20 the waits would be the same in every process
	var err error
	arguments := append(os.Args[1:], "", "", "")
	switch command := arguments[0]; command {
	case "pay", "refund":
		var receipt *Receipt
		if receipt, err = map[string]func(string, string) (*Receipt, error){"pay": pay, "refund": refund}[command](arguments[1], arguments[2]); err == nil {
			fmt.Print("version ", receipt.LastVersion)
			if receipt.Repeated {
				fmt.Print(" (an earlier try had written it)")
			}
			fmt.Println()
		}
	case "show":
		err = Read("Payment-"+arguments[1], func(event Event) { fmt.Println(event.Version, event.Type, string(event.Data)) })
	case "follow":
		count, _ := strconv.Atoi(arguments[2])
		err = printFollowing(arguments[1], count)
	default:
		err = errors.New("pay, refund, show or follow?")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if unknown := new(OutcomeUnknown); errors.As(err, &unknown) {
			os.Exit(4)
		}
		os.Exit(1)
	}
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func seconds(text string) time.Duration {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, "POLYLOG_DEADLINE:", err)
		os.Exit(2)
	}
	return time.Duration(number * float64(time.Second))
}

func cents(amount string) int64 {
	number, err := strconv.ParseFloat(amount, 64)
	if err != nil {
		return 0
	}
	return int64(math.Round(number * 100))
}

func least(a, b time.Duration) time.Duration {
	if a < b {
		return a
	}
	return b
}
