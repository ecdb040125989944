package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/dataset/mnist"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/train"
	"golang.org/x/sys/cpu"
)

const (
	pixels, classes  = 28, 10
	trainRows        = 55_000 // of MNIST
	epochBatches     = 366
	elman, lstm, gru = "elman", "lstm", "gru"
	minGRU, indRNN   = "mingru", "indrnn"
)

var (
	cells = []string{elman, lstm, gru}
	own   = []string{minGRU, indRNN} // cells that the peers do not have
)

// recipe is the job of examples/mnist.
func recipe(cell string) job { return job{Cell: cell, Hidden: 150, Batch: 150, Steps: 28} }

// oursOn names our model, trained by so many workers.
func oursOn(workers int) string { return fmt.Sprint("ours, workers: ", workers) }

func (j job) gates() int {
	return map[string]int{elman: 1, lstm: 4, gru: 3, minGRU: 2, indRNN: 1}[j.Cell]
}

// flop returns the floating-point operations of the matrix products that train the recurrent layer on so many
// sequences. A step forward multiplies [x|h] by the weights; backward, the gates' gradient by the recurrent weights
// for the state, and [x|h] by the gates' gradient for the weights; pixels get no gradient. The cells of own multiply x alone.
func (j job) flop(sequences int) float64 {
	h, in := float64(j.Hidden), float64(pixels+j.Hidden)
	each := 2*in*h + 2*h*h + 2*in*h
	if slices.Contains(own, j.Cell) {
		each = 2 * pixels * h * 2
	}
	return float64(sequences*j.Steps*j.gates()) * each
}

func (j job) layer(p *autograd.Params) rnn.Layer {
	r, in := j.rates, cmp.Or(j.Input, pixels)
	switch j.Cell {
	case lstm:
		return rnn.NewLSTM(p, rnn.LSTMConfig{Input: in, Layers: j.Layers, Hidden: j.Hidden,
			RecurrentDropout: r.recurrent, WeightDropout: r.weight, Zoneout: r.zone, ZoneoutCell: r.zone})
	case gru:
		return rnn.NewGRU(p, rnn.GRUConfig{Input: in, Layers: j.Layers, Hidden: j.Hidden,
			RecurrentDropout: r.recurrent, WeightDropout: r.weight, Zoneout: r.zone})
	case minGRU:
		return rnn.NewMinGRU(p, rnn.MinGRUConfig{Input: in, Layers: j.Layers, Hidden: j.Hidden, Zoneout: r.zone})
	case indRNN:
		return rnn.NewIndRNN(p, rnn.IndRNNConfig{Input: in, Layers: j.Layers, Hidden: j.Hidden, RecurrentDropout: r.recurrent, Zoneout: r.zone})
	}
	return rnn.NewElman(p, rnn.ElmanConfig{Input: in, Layers: j.Layers, Hidden: j.Hidden,
		RecurrentDropout: r.recurrent, WeightDropout: r.weight, Zoneout: r.zone})
}

// trainer trains our model for a job, as many batches at a time as are asked for.
type trainer struct {
	params   *autograd.Params
	classify func(*autograd.Tape, *dataset.Batch) *autograd.Node
	step     *train.Step
	adam     *optim.Adam
	next     func() (dataset.Rows, bool)
}

func newTrainer(j job, s dataset.Source, workers int, seed uint64) *trainer {
	params := autograd.NewParams(seed)
	layer, head := j.layer(params.In("rnn")), layers.NewDense(params.In("head"), j.Hidden, classes)
	t := &trainer{params: params}
	t.classify = func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		o := rnn.Options{}
		if j.lengths != nil {
			o.Lengths = j.lengths[b.First:][:b.X.Dim(1)]
		}
		h, _ := layer.Last(t.Input(b.X), o)
		return head.Forward(h)
	}
	t.step = train.NewStep(params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.SparseSoftmaxCrossEntropy(t.classify(tape, b), b.Labels)
	})
	t.step.Workers = workers
	t.adam = optim.NewAdam(params, 1e-3)
	t.next, _ = iter.Pull(func(yield func(dataset.Rows) bool) {
		for epoch := uint64(0); ; epoch++ {
			for rows := range dataset.Shuffled(s, j.Batch, seed, epoch) {
				if !yield(rows) {
					return
				}
			}
		}
	})
	return t
}

// run returns the seconds that so many batches take.
func (t *trainer) run(batches int) (float64, error) {
	start := time.Now()
	for range batches {
		rows, _ := t.next()
		if _, err := t.step.Run(rows); err != nil {
			return 0, err
		}
		t.adam.Step(t.step.Grads())
	}
	return time.Since(start).Seconds(), nil
}

// addOurs adds our model, trained by so many workers, whose time counts so many times.
func (c *Contest) addOurs(j job, s dataset.Source, workers, batches int, times float64) error {
	t := newTrainer(j, s, workers, 42)
	if _, err := t.run(2); err != nil { // to warm up
		return err
	}
	c.add(oursOn(workers), workers, func() (float64, error) {
		seconds, err := t.run(batches)
		return seconds * times, err
	})
	return nil
}

// pictures returns MNIST and tells the children where it is. It is downloaded where $UNROLL_MNIST names no folder.
func pictures() (*mnist.Data, error) {
	dir := os.Getenv("UNROLL_MNIST")
	if dir == "" {
		var err error
		if dir, err = mnist.CacheDir(); err != nil {
			return nil, err
		}
		if err := mnist.Fetch(context.Background(), dir, nil); err != nil {
			return nil, err
		}
		if err := os.Setenv("UNROLL_MNIST", dir); err != nil {
			return nil, err
		}
	}
	return mnist.Load(dir)
}

// noisePictures are four batches for a job that is not about MNIST.
func noisePictures(j job) dataset.Source {
	n := 4 * j.Batch
	s := &dataset.Images{Height: j.Steps, Width: pixels, Pixels: make([]uint8, n*j.Steps*pixels), Labels: make([]uint8, n)}
	for i, x := range noise(len(s.Pixels)) {
		s.Pixels[i] = uint8(128 + 127*x)
	}
	for i := range s.Labels {
		s.Labels[i] = uint8(i % classes)
	}
	return s
}

// epochs has everybody train the recipe, a part of an epoch a turn.
func epochs(b *bench) (all []*Contest, err error) {
	digits, err := pictures()
	if err != nil {
		return nil, err
	}
	releases := b.pytorches()
	jax, jaxName := b.jax()
	times := float64(epochBatches) / float64(b.batches)
	for _, cell := range slices.Concat(cells, own) {
		j := recipe(cell)
		c := &Contest{Name: cell, Work: j.flop(trainRows)}
		for _, workers := range []int{1, 2} {
			c.addPeak(workers)
			if err := c.addOurs(j, digits.Train, workers, b.batches, times); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
		if slices.Contains(own, cell) {
			continue
		}
		q := request{Do: "train", job: j, Batches: b.batches}
		for _, p := range releases {
			for _, t := range p.settings {
				child, err := b.torch(p, t)
				if err != nil {
					return nil, err
				}
				c.add(p.with(t), t.cores(), child.seconds(q, times))
				if p.python == b.current && (cpu.X86.HasAVX512BF16 || cpu.X86.HasAMXBF16) {
					half := q
					half.Autocast = true
					c.add(p.with(t)+", bfloat16", t.cores(), child.seconds(half, times))
				}
			}
		}
		if jax != nil {
			c.add(jaxName, 2, jax.seconds(q, times))
		}
		if child, name, err := b.gomlxPeer(); err == nil {
			c.add(name, 2, child.seconds(q, times))
		} else if cell == elman {
			b.note("GoMLX is left out: %v.", err)
		}
	}
	if b.batches != epochBatches {
		b.note("A turn is %d of an epoch's %d batches; its time is scaled up.", b.batches, epochBatches)
	}
	return all, nil
}

// epochTable has a row a contestant.
func epochTable(contests []*Contest) table {
	t := table{{"model", "", "s an epoch", "of its cores' peak", "times ours, one core", "times ours, two"}}
	for _, c := range contests {
		for _, e := range c.contestants() {
			t = append(t, []string{c.Name, e.Name, figure(e.median()), percent(c.share(e)),
				figure(ratio(e, c.entry(oursOn(1)))), figure(ratio(e, c.entry(oursOn(2))))})
		}
	}
	return t
}

// growthJobs vary the recipe along one axis at a time.
func growthJobs() (all []job) {
	vary := func(cell string, set func(j *job, x int), values ...int) {
		for _, x := range values {
			j := recipe(cell)
			j.Noise = true
			set(&j, x)
			if !slices.ContainsFunc(all, j.same) {
				all = append(all, j)
			}
		}
	}
	hidden := func(j *job, x int) { j.Hidden = x }
	vary(elman, hidden, 64, 128, 150, 256, 512, 1024)
	vary(elman, func(j *job, x int) { j.Batch = x }, 1, 8, 32, 150, 512)
	vary(elman, func(j *job, x int) { j.Steps = x }, 28, 100, 300, 1000)
	vary(lstm, hidden, 64, 128, 150, 256, 512, 1024)
	vary(gru, hidden, 64, 128, 150, 256, 512, 1024)
	return all
}

// growth has everybody train steps of other sizes, each PyTorch with the threads that were fastest in an epoch.
func growth(b *bench) (all []*Contest, err error) {
	releases := b.pytorches()
	best := map[string]threads{}
	for _, p := range releases {
		if best[p.name], err = b.best(p); err != nil {
			return nil, err
		}
		b.note("The threads of %s are those with which it was fastest in an epoch: %s.", p.name, best[p.name])
	}
	for _, j := range growthJobs() {
		c := &Contest{Name: fmt.Sprintf("%s, hidden %d, batch %d, steps %d", j.Cell, j.Hidden, j.Batch, j.Steps), Work: j.flop(j.Batch)}
		batches := int(min(50, max(2, 5e9/c.Work)))
		source, times := noisePictures(j), 1/float64(batches)
		for _, workers := range []int{1, 2} {
			if err := c.addOurs(j, source, workers, batches, times); err != nil {
				return nil, err
			}
		}
		for _, p := range releases {
			child, err := b.torch(p, best[p.name])
			if err != nil {
				return nil, err
			}
			c.add(p.name, best[p.name].cores(), child.seconds(request{Do: "train", job: j, Batches: batches}, times))
		}
		all = append(all, c)
	}
	return all, nil
}

// plain names a layer without options.
const plain = "plain"

// options has each cell train the recipe with one option at a time, on both cores.
func options(*bench) (all []*Contest, err error) {
	for _, cell := range cells {
		c := &Contest{Name: cell}
		j := recipe(cell)
		j.Noise = true
		uniform := make([]int, j.Batch) // 1 to all steps, mixed
		for i := range uniform {
			uniform[i] = 1 + i*89%j.Steps
		}
		source := noisePictures(j)
		for _, o := range []struct {
			name    string
			lengths []int
			rates   rates
		}{
			{plain, nil, rates{}},
			{"lengths 1 to 28", uniform, rates{}},
			{"recurrent dropout", nil, rates{recurrent: 0.3}},
			{"weight dropout", nil, rates{weight: 0.3}},
			{"zoneout", nil, rates{zone: 0.1}},
		} {
			j.lengths, j.rates = o.lengths, o.rates
			t := newTrainer(j, source, 2, 42)
			if _, err := t.run(2); err != nil {
				return nil, err
			}
			const batches = 10
			c.add(o.name, 2, func() (float64, error) {
				seconds, err := t.run(batches)
				return seconds / batches, err
			})
		}
		all = append(all, c)
	}
	return all, nil
}

func optionsTable(contests []*Contest) table { return compare(contests, plain, "ms", 1e3) }

func growthTable(contests []*Contest) table { return compare(contests, oursOn(2), "ms", 1e3) }

// best returns the threads with which a release trained the recipe's Elman fastest.
func (b *bench) best(p pytorch) (best threads, err error) {
	r, err := loadResult("epoch")
	if err != nil {
		return best, err
	}
	if r == nil {
		return best, fmt.Errorf("the fastest threads of %s are not known: measure the section epoch first", p.name)
	}
	var least *Entry
	for _, t := range p.settings {
		if e := r.Contests[0].entry(p.with(t)); e != nil && (least == nil || e.median() < least.median()) {
			least, best = e, t
		}
	}
	if least == nil {
		return best, fmt.Errorf("the fastest threads of %s are not known: measure the section epoch again", p.name)
	}
	return best, nil
}
