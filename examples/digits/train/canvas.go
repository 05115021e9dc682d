package main

import (
	"image"
	"image/color"
	"math"
)

// canvas draws smooth shapes on an opaque picture. Coordinates are pixels from the top left; a shape's edge
// is softened over one pixel.
type canvas struct {
	img  *image.RGBA
	font font
}

func newCanvas(width, height int, paper color.RGBA) *canvas {
	c := &canvas{image.NewRGBA(image.Rect(0, 0, width, height)), newFont()}
	for i := 0; i < len(c.img.Pix); i += 4 {
		c.img.Pix[i], c.img.Pix[i+1], c.img.Pix[i+2], c.img.Pix[i+3] = paper.R, paper.G, paper.B, 255
	}
	return c
}

// blend lays ink over one pixel; cover is from 0 to 1. Outside the picture it does nothing.
func (c *canvas) blend(x, y int, ink color.RGBA, cover float64) {
	if cover <= 0 || !(image.Point{X: x, Y: y}).In(c.img.Rect) {
		return
	}
	c.img.SetRGBA(x, y, mix(c.img.RGBAAt(x, y), ink, min(cover, 1)))
}

// mix goes from a to b as t goes from 0 to 1.
func mix(a, b color.RGBA, t float64) color.RGBA {
	one := func(p, q uint8) uint8 { return uint8(math.Round(float64(p) + t*(float64(q)-float64(p)))) }
	return color.RGBA{one(a.R, b.R), one(a.G, b.G), one(a.B, b.B), 255}
}

// box fills a rectangle with rounded corners.
func (c *canvas) box(x, y, w, h, radius float64, ink color.RGBA) {
	for py := int(y); py <= int(y+h); py++ {
		for px := int(x); px <= int(x+w); px++ {
			dx := math.Abs(float64(px)+0.5-(x+w/2)) - (w/2 - radius)
			dy := math.Abs(float64(py)+0.5-(y+h/2)) - (h/2 - radius)
			outside := math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - radius
			c.blend(px, py, ink, 0.5-outside)
		}
	}
}

// style says how text looks: unit is the size of the font's grid in pixels, so capitals are 7 units high.
type style struct {
	unit, pen float64 // pixels; pen is the width of the strokes
	ink       color.RGBA
	align     float64 // 0: x is the left end; 0.5: the middle; 1: the right end
	upwards   bool    // written from bottom to top
}

// text writes on a baseline that goes through (x, y).
func (c *canvas) text(x, y float64, s style, text string) {
	at := -s.align * c.font.width(text) * s.unit
	for _, r := range text {
		g := c.font[r]
		place := func(p point) point {
			along, up := at+p.x*s.unit, p.y*s.unit
			if s.upwards {
				return point{x - up, y - along}
			}
			return point{x + along, y - up}
		}
		c.glyph(g, place, s)
		at += (g.width + letterGap) * s.unit
	}
}

// glyph inks each pixel once, by its distance to the nearest stroke.
func (c *canvas) glyph(g glyph, place func(point) point, s style) {
	var segments [][2]point
	low, high := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, stroke := range g.strokes {
		for i, p := range stroke {
			p = place(p)
			low = point{min(low.x, p.x), min(low.y, p.y)}
			high = point{max(high.x, p.x), max(high.y, p.y)}
			if i > 0 {
				segments = append(segments, [2]point{place(stroke[i-1]), p})
			}
		}
	}
	if len(segments) == 0 {
		return
	}
	reach := s.pen/2 + 1
	for y := int(low.y - reach); y <= int(high.y+reach); y++ {
		for x := int(low.x - reach); x <= int(high.x+reach); x++ {
			near := math.Inf(1)
			for _, seg := range segments {
				near = min(near, distance(point{float64(x) + 0.5, float64(y) + 0.5}, seg))
			}
			c.blend(x, y, s.ink, 0.5+s.pen/2-near)
		}
	}
}

func distance(p point, seg [2]point) float64 {
	a, b := seg[0], seg[1]
	dx, dy := b.x-a.x, b.y-a.y
	var t float64
	if length := dx*dx + dy*dy; length > 0 {
		t = min(max(((p.x-a.x)*dx+(p.y-a.y)*dy)/length, 0), 1)
	}
	return math.Hypot(p.x-a.x-t*dx, p.y-a.y-t*dy)
}

// digit shows an image in pixels of size by size, paper as paper and ink as ink.
func (c *canvas) digit(left, top, size int, image []byte, paper, ink color.RGBA) {
	for i, v := range image {
		shade := mix(paper, ink, float64(v)/255)
		for y := range size {
			for x := range size {
				c.img.SetRGBA(left+i%side*size+x, top+i/side*size+y, shade)
			}
		}
	}
}
