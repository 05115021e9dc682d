package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

func decodePicture(t *testing.T, v verdict, test digits) image.Image {
	t.Helper()
	b, err := encodePicture(v, test)
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, pictureWidth, pictureHeight), img.Bounds())
	return img
}

// corner is the fill of a cell, beside its number.
func corner(img image.Image, written, read int) color.Color {
	return img.At(gridLeft+read*cellSize+8, gridTop+written*cellSize+8)
}

func TestPictureColoursRightAndWrongApart(t *testing.T) {
	var v verdict
	v.counts[3][3], v.counts[4][9], v.counts[4][2] = 200, 5, 1
	img := decodePicture(t, v, digits{})
	p := newPalette()
	require.Equal(t, p.right[1], corner(img, 3, 3))
	require.Equal(t, p.wrong[1], corner(img, 4, 9))
	require.Equal(t, mix(p.wrong[0], p.wrong[1], 0.2), corner(img, 4, 2))
	require.Equal(t, p.empty, corner(img, 9, 4), "rows are what was written, columns what was read")
}

func TestPictureOfExtremes(t *testing.T) {
	test := synthetic(t, 1, 20).test
	var all verdict
	for i, l := range test.labels {
		all.counts[l][(l+1)%classes] += 50_000
		all.mistakes = append(all.mistakes, mistake{i, l, (l + 1) % classes, float32(i) / 20})
	}
	decodePicture(t, all, test)
	decodePicture(t, verdict{}, test)
}

func TestPictureShowsTheSurestMistakesFirst(t *testing.T) {
	test := synthetic(t, 1, 20).test
	v := verdict{mistakes: []mistake{{0, 1, 0, 0.5}, {8, 9, 1, 0.99}}}
	img := decodePicture(t, v, test)
	// The bar of a 9 is in row 21 of the image; the first place of the gallery must show it.
	row := galleryTop + (3+2*9)*galleryPixel + 1
	require.Equal(t, newPalette().ink, img.At(44+10*galleryPixel, row))
	require.NotEqual(t, newPalette().ink, img.At(44+galleryStep+10*galleryPixel, row))
}

func TestFontHasWhatThePictureWrites(t *testing.T) {
	f := newFont()
	for _, r := range "0123456789abcdefghijklmnopqrstuvwxyzHTE.,:% " {
		g, ok := f[r]
		require.True(t, ok, "%q", r)
		require.True(t, r == ' ' || len(g.strokes) > 0, "%q", r)
		for _, stroke := range g.strokes {
			require.GreaterOrEqual(t, len(stroke), 2, "%q", r)
		}
	}
	require.Equal(t, f.width("111"), f.width("888"), "digits are equally wide")
}

func TestTickStepIsRoundAndGivesAtMostSixTicks(t *testing.T) {
	for most := 1; most < 5000; most++ {
		require.LessOrEqual(t, most/tickStep(most), 5)
	}
	require.Equal(t, 1, tickStep(5))
	require.Equal(t, 50, tickStep(223))
}
