package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"image/png"
	"slices"
)

// Where things stand in confusion.png, in pixels.
const (
	pictureWidth  = 1012
	pictureHeight = 1030
	gridLeft      = 124
	gridTop       = 196
	cellSize      = 62
	gridSize      = classes * cellSize
	scaleLeft     = 876
	scaleWidth    = 22
	scaleHeight   = 226
	galleryTop    = 900
	galleryPixel  = 3
	gallerySize   = 8
	galleryStep   = 119
)

// palette is the colours of the picture; each scale goes from few to many.
type palette struct {
	paper, ink, soft, faint, empty color.RGBA
	right, wrong                   [2]color.RGBA
}

func newPalette() palette {
	return palette{
		paper: color.RGBA{255, 255, 255, 255},
		ink:   color.RGBA{28, 34, 48, 255},
		soft:  color.RGBA{98, 106, 122, 255},
		faint: color.RGBA{190, 196, 206, 255},
		empty: color.RGBA{244, 246, 249, 255},
		right: [2]color.RGBA{{206, 226, 243, 255}, {23, 78, 138, 255}},
		wrong: [2]color.RGBA{{255, 238, 218, 255}, {205, 72, 24, 255}},
	}
}

// picture is confusion.png while it is drawn.
type picture struct {
	*canvas
	palette
	v                    verdict
	mostRight, mostWrong int // the highest counts on and off the diagonal, at least 1
}

// encodePicture draws what the network took for what, as a PNG of pictureWidth by pictureHeight.
func encodePicture(v verdict, test digits) ([]byte, error) {
	colours := newPalette()
	p := &picture{canvas: newCanvas(pictureWidth, pictureHeight, colours.paper), palette: colours, v: v, mostRight: 1, mostWrong: 1}
	for w, row := range v.counts {
		for r, n := range row {
			if w == r {
				p.mostRight = max(p.mostRight, n)
			} else {
				p.mostWrong = max(p.mostWrong, n)
			}
		}
	}
	p.heading()
	p.axes()
	for w, row := range v.counts {
		for r, n := range row {
			p.cell(w, r, n)
		}
		p.share(w)
	}
	p.scales()
	p.gallery(test)
	var b bytes.Buffer
	if err := png.Encode(&b, p.img); err != nil {
		return nil, fmt.Errorf("can't encode the picture: %w", err)
	}
	return b.Bytes(), nil
}

func (p *picture) heading() {
	right, all := p.v.right()
	p.text(44, 62, style{unit: 3.7, pen: 3.6, ink: p.ink}, "How the network reads handwritten digits")
	p.text(44, 100, style{unit: 2.1, pen: 1.9, ink: p.soft},
		fmt.Sprintf("%d of %d test digits read right: %.2f %%", right, all, 100*p.v.accuracy()))
}

func (p *picture) axes() {
	title := style{unit: 2.1, pen: 2.1, ink: p.soft, align: 0.5}
	p.text(gridLeft+gridSize/2, gridTop-46, title, "digit that the network read")
	title.upwards = true
	p.text(gridLeft-58, gridTop+gridSize/2, title, "digit that was written")
	number := style{unit: 2.7, pen: 2.8, ink: p.ink, align: 0.5}
	for d := range classes {
		middle := float64(d*cellSize + cellSize/2)
		p.text(gridLeft+middle, gridTop-12, number, fmt.Sprint(d))
		p.text(gridLeft-26, gridTop+middle+capHeight/2*number.unit, number, fmt.Sprint(d))
	}
}

// cell shows how many digits w were read as r.
func (p *picture) cell(w, r, n int) {
	s := style{unit: 2.3, pen: 2.1, ink: p.ink, align: 0.5}
	fill := p.empty
	switch {
	case n == 0:
		s.ink, s.unit, s.pen = p.faint, 1.7, 1.4
	case w == r:
		t := float64(n) / float64(p.mostRight)
		fill, s.ink, s.pen = mix(p.right[0], p.right[1], t), p.over(t), 2.5
	default:
		t := float64(n) / float64(p.mostWrong)
		fill, s.ink = mix(p.wrong[0], p.wrong[1], t), p.over(t)
	}
	x, y := float64(gridLeft+r*cellSize), float64(gridTop+w*cellSize)
	p.box(x+1.5, y+1.5, cellSize-3, cellSize-3, 7, fill)
	p.text(x+cellSize/2, y+cellSize/2+capHeight/2*s.unit, s, fmt.Sprint(n))
}

// over is the ink that is legible on a place t of a scale.
func (p *picture) over(t float64) color.RGBA {
	if t > 0.65 {
		return p.paper
	}
	return p.ink
}

// share writes at the end of a row how much of it was read right.
func (p *picture) share(w int) {
	var all int
	for _, n := range p.v.counts[w] {
		all += n
	}
	text := "none"
	if all > 0 {
		text = fmt.Sprintf("%.1f %%", 100*float64(p.v.counts[w][w])/float64(all))
	}
	s := style{unit: 2, pen: 1.8, ink: p.soft, align: 1}
	p.text(gridLeft+gridSize+84, gridTop+float64(w*cellSize+cellSize/2)+capHeight/2*s.unit, s, text)
	if w == 0 {
		p.text(gridLeft+gridSize+84, gridTop-12, s, "right")
	}
}

func (p *picture) scales() {
	p.scale(gridTop+36, "read right", p.right, p.mostRight)
	p.scale(gridTop+gridSize-scaleHeight, "read wrong", p.wrong, p.mostWrong)
}

// scale is a colour bar with the count that each colour stands for.
func (p *picture) scale(top float64, name string, colours [2]color.RGBA, most int) {
	p.text(scaleLeft, top-20, style{unit: 2, pen: 1.9, ink: p.soft}, name)
	for y := range scaleHeight {
		t := 1 - float64(y)/(scaleHeight-1)
		p.box(scaleLeft, top+float64(y), scaleWidth, 1, 0, mix(colours[0], colours[1], t))
	}
	s := style{unit: 1.9, pen: 1.7, ink: p.soft}
	step := tickStep(most)
	for n := 0; n <= most; n += step {
		y := top + scaleHeight - 1 - float64(n)/float64(most)*(scaleHeight-1)
		p.box(scaleLeft+scaleWidth+3, y-0.5, 6, 1.4, 0, p.faint)
		p.text(scaleLeft+scaleWidth+16, y+capHeight/2*s.unit, s, fmt.Sprint(n))
	}
}

// tickStep is the round number that cuts 0 to most into at most five parts.
func tickStep(most int) int {
	for power := 1; ; power *= 10 {
		for _, n := range []int{1, 2, 5} {
			if n*power*5 >= most {
				return n * power
			}
		}
	}
}

// gallery shows the mistakes that the network was surest of.
func (p *picture) gallery(test digits) {
	worst := slices.Clone(p.v.mistakes)
	slices.SortStableFunc(worst, func(a, b mistake) int { return cmp.Compare(b.believed, a.believed) })
	worst = worst[:min(len(worst), gallerySize)]
	if len(worst) == 0 {
		return
	}
	p.text(44, galleryTop-26, style{unit: 2.4, pen: 2.4, ink: p.ink}, "The mistakes it was surest of")
	const size = side * galleryPixel
	caption := style{unit: 1.7, pen: 1.5, ink: p.soft, align: 0.5}
	for i, m := range worst {
		left := 44 + i*galleryStep
		p.digit(left, galleryTop, galleryPixel, test.image(m.at), p.empty, p.ink)
		p.text(float64(left)+size/2, galleryTop+size+24, caption, fmt.Sprintf("%d read as %d", m.wrote, m.read))
	}
}
