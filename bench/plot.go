package main

import (
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// curves are what is drawn.
type curves struct {
	rates   []bar
	buffers []point // of the whole of a scan
	walks   []point // of the producer's walk
}

// bar is a share of the limit.
type bar struct {
	at     string
	shares sample
}

// point is what a project costs in an installation of that size.
type point struct{ projects, buffers float64 }

const plotWidth, plotHeight = 16 * vg.Centimeter, 9 * vg.Centimeter

// draw writes the plots into the folder.
func (c curves) draw(dir string) error {
	if len(c.rates) > 0 {
		if err := c.drawRates(filepath.Join(dir, "rates.svg")); err != nil {
			return err
		}
	}
	if len(c.buffers) > 0 {
		return c.drawBuffers(filepath.Join(dir, "buffers.svg"))
	}
	return nil
}

// drawRates draws a bar for each registry, with the middle half of the rounds.
func (c curves) drawRates(file string) error {
	p := plot.New()
	p.Title.Text = "regmend's projects per second, as a share of the limit"
	p.Y.Min, p.Y.Max = 0, 1.1
	heights, names := plotter.Values{}, []string{}
	var points plotter.XYs
	var errs plotter.YErrors
	for i, b := range c.rates {
		median := b.shares.median()
		heights, names = append(heights, median), append(names, b.at)
		points = append(points, plotter.XY{X: float64(i), Y: median})
		errs = append(errs, struct{ Low, High float64 }{median - b.shares.quantile(0.25), b.shares.quantile(0.75) - median})
	}
	bars, err := plotter.NewBarChart(heights, 1.5*vg.Centimeter)
	if err != nil {
		return err
	}
	bars.Color = plotutil.Color(0)
	marks, err := plotter.NewYErrorBars(struct {
		plotter.XYs
		plotter.YErrors
	}{points, errs})
	if err != nil {
		return err
	}
	p.Add(plotter.NewGrid(), bars, marks)
	p.NominalX(names...)
	return p.Save(plotWidth, plotHeight, file)
}

// drawBuffers draws buffers a project over the size.
func (c curves) drawBuffers(file string) error {
	p := plot.New()
	p.Title.Text = "Postgres buffers a project"
	p.X.Label.Text = "projects"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min = 0
	p.Add(plotter.NewGrid())
	for i, of := range []struct {
		name   string
		points []point
	}{{"scanned, from the walk to the written result", c.buffers}, {"walked by the producer", c.walks}} {
		points := plotter.XYs{}
		for _, at := range of.points {
			points = append(points, plotter.XY{X: at.projects, Y: at.buffers})
			p.Y.Max = max(p.Y.Max, 1.3*at.buffers)
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, marks.Color = plotutil.Color(i), plotutil.Color(i)
		p.Add(line, marks)
		p.Legend.Add(of.name, line, marks)
	}
	p.Legend.Top = true
	return p.Save(plotWidth, plotHeight, file)
}
