package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/entsession/entsession/examples/webapp/ent"
)

type product struct {
	ID, Name string
	cents    int
}

var products = []product{
	{"tea", "Green tea", 450},
	{"honey", "Forest honey", 620},
	{"biscuits", "Oat biscuits", 275},
	{"lemons", "Lemons", 180},
}

// maxOfEach is how much of a product fits into a cart.
const maxOfEach = 99

// shop is the data of pages/home.html.
type shop struct {
	Counter int
	Lines   []line
	Total   string
	Empty   bool
	Row     *row // nil: nothing is stored
}

// line is a product and how many of it are in the cart.
type line struct {
	product
	Count int
	Full  bool
}

// row is what the table holds of the visitor.
type row struct {
	*ent.Session
	Data    string
	Expires time.Time
}

func (a *app) home(w http.ResponseWriter, r *http.Request, v *visitor) error {
	var value visit
	page := shop{Empty: true}
	if v != nil {
		value = v.Value
		page.Row = &row{v.Session, string(v.Data), v.Expires()}
	}
	page.Counter = value.Counter
	total := 0
	for _, p := range products {
		n := value.Cart[p.ID]
		total += n * p.cents
		page.Lines = append(page.Lines, line{p, n, n >= maxOfEach})
		page.Empty = page.Empty && n == 0
	}
	page.Total = euros(total)
	a.render(w, http.StatusOK, "home.html", view{Title: "The shop", Name: v.name(), Notice: notice(r), Page: page})
	return nil
}

func (a *app) count(w http.ResponseWriter, r *http.Request, v *visitor) error {
	if err := a.change(w, r, v, func(v *visit) { v.Counter++ }); err != nil {
		return err
	}
	seeOther(w, r, "/")
	return nil
}

func (a *app) addToCart(w http.ResponseWriter, r *http.Request, v *visitor) error {
	item := r.PostFormValue("item")
	if !known(item) {
		a.fail(w, http.StatusNotFound, "The shop doesn't have that", "Please choose from what is on the shelf.")
		return nil
	}
	err := a.change(w, r, v, func(v *visit) {
		if v.Cart == nil {
			v.Cart = map[string]int{}
		}
		v.Cart[item] = min(v.Cart[item]+1, maxOfEach)
	})
	if err != nil {
		return err
	}
	seeOther(w, r, "/#cart")
	return nil
}

func (a *app) removeFromCart(w http.ResponseWriter, r *http.Request, v *visitor) error {
	item := r.PostFormValue("item")
	if v != nil { // or there is nothing to remove, and no session to begin for it
		err := a.change(w, r, v, func(v *visit) {
			if v.Cart[item]--; v.Cart[item] <= 0 {
				delete(v.Cart, item)
			}
		})
		if err != nil {
			return err
		}
	}
	seeOther(w, r, "/#cart")
	return nil
}

func (a *app) emptyCart(w http.ResponseWriter, r *http.Request, v *visitor) error {
	if v != nil {
		if err := a.change(w, r, v, func(v *visit) { v.Cart = nil }); err != nil {
			return err
		}
	}
	seeOther(w, r, "/#cart")
	return nil
}

func known(item string) bool {
	for _, p := range products {
		if p.ID == item {
			return true
		}
	}
	return false
}

// Price of one.
func (p product) Price() string { return euros(p.cents) }

func euros(cents int) string { return fmt.Sprintf("€%d.%02d", cents/100, cents%100) }
