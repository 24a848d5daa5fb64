package bench

import "stentor/bench/result"

// byRound is a table with a column for each figure and a row for each round.
type byRound struct{ table result.Table }

// add appends a column.
func (b *byRound) add(name string, unit result.Unit, rounds []float64) {
	t := &b.table
	for len(t.Rows) < len(rounds) { // earlier columns are shorter
		var row result.Row
		for range t.Columns {
			row.Cells = append(row.Cells, result.Unknown)
		}
		t.Rows = append(t.Rows, row)
	}
	t.Columns = append(t.Columns, result.Column{Name: name, Unit: unit})
	for i := range t.Rows {
		cell := result.Unknown
		if i < len(rounds) {
			cell = result.Cell(rounds[i])
		}
		t.Rows[i].Cells = append(t.Rows[i].Cells, cell)
	}
}

func (b *byRound) named(name string) result.Table {
	b.table.Name = name
	return b.table
}

// pairwise puts the rounds of two sides together.
func pairwise(a, b []float64, f func(a, b float64) float64) (both []float64) {
	for i := range min(len(a), len(b)) {
		both = append(both, f(a[i], b[i]))
	}
	return both
}
