package main

import "math"

// The lettering is drawn, not copied: each glyph is a few strokes on a grid where the baseline is 0, small
// letters are 5 high, capitals and digits 7, ascenders 7.4 and descenders −2.2. A round pen follows them.

const (
	capHeight  = 7.0
	letterGap  = 1.75 // between two glyphs
	wordSpace  = 2.2  // width of a blank
	arcDegrees = 15   // an arc is cut into chords of at most so many degrees
)

type point struct{ x, y float64 }

type glyph struct {
	width   float64
	strokes [][]point
}

// font maps what can be written to its glyph.
type font map[rune]glyph

// width returns how wide the text is, in grid units.
func (f font) width(text string) float64 {
	var w float64
	for i, r := range text {
		if i > 0 {
			w += letterGap
		}
		w += f[r].width
	}
	return w
}

// line joins points given as x, y, x, y, …
func line(xy ...float64) []point {
	p := make([]point, 0, len(xy)/2)
	for i := 0; i+1 < len(xy); i += 2 {
		p = append(p, point{xy[i], xy[i+1]})
	}
	return p
}

func spot(x, y float64) []point { return line(x, y, x, y) }

// arc is part of an ellipse around (cx, cy), in degrees, 0 to the right and 90 at the top.
func arc(cx, cy, rx, ry, from, to float64) []point {
	n := int(math.Ceil(math.Abs(to-from) / arcDegrees))
	p := make([]point, 0, n+1)
	for i := range n + 1 {
		sin, cos := math.Sincos((from + (to-from)*float64(i)/float64(n)) * math.Pi / 180)
		p = append(p, point{cx + rx*cos, cy + ry*sin})
	}
	return p
}

func ring(cx, cy, rx, ry float64) []point { return arc(cx, cy, rx, ry, 0, 360) }

// newFont has what the picture writes: digits, small letters, some capitals and signs.
func newFont() font {
	f := font{' ': {width: wordSpace}}
	addDigits(f)
	addAToM(f)
	addNToZ(f)
	addCapitals(f)
	addSigns(f)
	return f
}

func (f font) add(r rune, width float64, strokes ...[]point) { f[r] = glyph{width, strokes} }

// addDigits makes all digits equally wide, so that columns of numbers line up.
func addDigits(f font) {
	const w = 4.4
	f.add('0', w, ring(2.2, 3.5, 2.1, 3.5))
	f.add('1', w, line(0.8, 5.5, 2.6, 7, 2.6, 0))
	f.add('2', w, append(arc(2.2, 4.9, 2, 2.1, 165, -38), line(0.1, 0, 4.3, 0)...))
	f.add('3', w, append(arc(2, 5.3, 1.8, 1.7, 150, -90), arc(2, 1.8, 2.2, 1.8, 90, -150)...))
	f.add('4', w, line(3.3, 0, 3.3, 7, -0.1, 2, 4.6, 2))
	f.add('5', w, append(line(4, 7, 0.8, 7, 0.5, 3.8), arc(2.1, 2.25, 2.2, 2.25, 130, -150)...))
	f.add('6', w, ring(2.2, 2.2, 2.15, 2.2), arc(4.4, 2.3, 4.35, 4.8, 180, 106))
	f.add('7', w, line(0.1, 7, 4.3, 7, 1.5, 0))
	f.add('8', w, ring(2.2, 5.3, 1.75, 1.7), ring(2.2, 1.8, 2.15, 1.8))
	f.add('9', w, ring(2.2, 4.8, 2.15, 2.2), arc(0, 4.7, 4.35, 4.8, 0, -74))
}

func bowl() []point { return ring(2.2, 2.5, 2.2, 2.5) }

func addAToM(f font) {
	f.add('a', 4.4, bowl(), line(4.4, 5, 4.4, 0))
	f.add('b', 4.4, bowl(), line(0, 7.4, 0, 0))
	f.add('c', 3.9, arc(2.2, 2.5, 2.2, 2.5, 48, 312))
	f.add('d', 4.4, bowl(), line(4.4, 7.4, 4.4, 0))
	f.add('e', 4.4, append(line(0.1, 2.7, 4.4, 2.7), arc(2.2, 2.5, 2.2, 2.5, 4, 315)...))
	f.add('f', 2.8, append(arc(2.6, 5.9, 1.5, 1.5, 75, 180), line(1.1, 0)...), line(0, 5, 2.6, 5))
	f.add('g', 4.4, bowl(), append(line(4.4, 5), arc(2.2, -0.2, 2.2, 2, 0, -145)...))
	f.add('h', 4.2, line(0, 7.4, 0, 0), append(arc(2.1, 2.9, 2.1, 2.1, 180, 0), line(4.2, 0)...))
	f.add('i', 0, line(0, 5, 0, 0), spot(0, 7.2))
	f.add('j', 1, append(line(1, 5), arc(-0.2, -1, 1.2, 1.2, 0, -90)...), spot(1, 7.2))
	f.add('k', 3.9, line(0, 7.4, 0, 0), line(3.7, 5, 0, 1.7), line(1.5, 3.1, 3.9, 0))
	f.add('l', 0, line(0, 7.4, 0, 0))
	f.add('m', 6.8, line(0, 5, 0, 0), append(arc(1.7, 3.3, 1.7, 1.7, 180, 0), line(3.4, 0)...),
		append(arc(5.1, 3.3, 1.7, 1.7, 180, 0), line(6.8, 0)...))
}

func addNToZ(f font) {
	f.add('n', 4.2, line(0, 5, 0, 0), append(arc(2.1, 2.9, 2.1, 2.1, 180, 0), line(4.2, 0)...))
	f.add('o', 4.4, bowl())
	f.add('p', 4.4, bowl(), line(0, 5, 0, -2.2))
	f.add('q', 4.4, bowl(), line(4.4, 5, 4.4, -2.2))
	f.add('r', 2.5, line(0, 5, 0, 0), arc(2, 3, 2, 2, 180, 72))
	f.add('s', 3.6, append(arc(1.8, 3.75, 1.6, 1.25, 35, 270), arc(1.8, 1.25, 1.8, 1.25, 90, -145)...))
	f.add('t', 2.8, append(line(1.1, 6.7), arc(2.5, 1.4, 1.4, 1.4, 180, 285)...), line(0, 5, 2.7, 5))
	f.add('u', 4.2, append(line(0, 5), arc(2.1, 2.1, 2.1, 2.1, 180, 360)...), line(4.2, 5, 4.2, 0))
	f.add('v', 4.2, line(0, 5, 2.1, 0, 4.2, 5))
	f.add('w', 6.2, line(0, 5, 1.5, 0, 3.1, 4.7, 4.7, 0, 6.2, 5))
	f.add('x', 3.9, line(0, 5, 3.9, 0), line(3.9, 5, 0, 0))
	f.add('y', 4.2, line(0, 5, 2.1, 0), line(4.2, 5, 1.2, -2.2))
	f.add('z', 3.8, line(0.1, 5, 3.7, 5, 0, 0, 3.8, 0))
}

func addCapitals(f font) {
	f.add('H', 5, line(0, 7, 0, 0), line(5, 7, 5, 0), line(0, 3.6, 5, 3.6))
	f.add('T', 5, line(0, 7, 5, 7), line(2.5, 7, 2.5, 0))
	f.add('E', 4, line(4, 7, 0, 7, 0, 0, 4, 0), line(0, 3.6, 3.6, 3.6))
}

func addSigns(f font) {
	f.add('.', 0, spot(0, 0.1))
	f.add(',', 0.3, line(0.3, 0.1, 0, -1.2))
	f.add(':', 0, spot(0, 0.3), spot(0, 4.2))
	f.add('%', 6, ring(1.3, 5.5, 1.3, 1.5), ring(4.7, 1.5, 1.3, 1.5), line(5, 7, 1, 0))
}
