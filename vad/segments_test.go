package vad_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/vad"
)

// timestamps is get_speech_timestamps of silero-vad 6.2, as it is written there, for chunks of 512 samples.
func timestamps(p []float32, samples int, threshold, negative float32, minSpeech, minSilence, pad int) (speeches []vad.Segment) {
	triggered, start, tempEnd := false, 0, 0
	for i, v := range p {
		at := vad.Chunk * i
		if v >= threshold && tempEnd > 0 {
			tempEnd = 0
		}
		if v >= threshold && !triggered {
			triggered, start = true, at
			continue
		}
		if v < negative && triggered {
			if tempEnd == 0 {
				tempEnd = at
			}
			if at-tempEnd < minSilence {
				continue
			}
			if tempEnd-start > minSpeech {
				speeches = append(speeches, vad.Segment{Start: start, End: tempEnd})
			}
			triggered, tempEnd = false, 0
		}
	}
	if triggered && samples-start > minSpeech {
		speeches = append(speeches, vad.Segment{Start: start, End: samples})
	}
	for i := range speeches {
		s := &speeches[i]
		if i == 0 {
			s.Start = max(0, s.Start-pad)
		}
		if i == len(speeches)-1 {
			s.End = min(samples, s.End+pad)
			continue
		}
		if next := &speeches[i+1]; next.Start-s.End < 2*pad {
			silence := next.Start - s.End
			s.End += silence / 2
			next.Start = max(0, next.Start-silence/2)
		} else {
			s.End = min(samples, s.End+pad)
			next.Start = max(0, next.Start-pad)
		}
	}
	return speeches
}

// TestSegmenter: what a segmenter says while it hears is what Silero's function says about the whole.
func TestSegmenter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	pick := func(of ...time.Duration) time.Duration { return of[r.IntN(len(of))] * time.Millisecond }
	found := 0
	for range 3000 {
		c := vad.SegmentConfig{Threshold: 0.5, Release: 0.35, MinSpeech: pick(0, 32, 100, 250), MinSilence: pick(0, 32, 64, 100, 300), Pad: pick(0, 10, 30, 100)}
		p, v := make([]float32, 1+r.IntN(120)), float32(0)
		for i := range p {
			if r.IntN(4) == 0 {
				v = r.Float32()
			}
			p[i] = v
		}
		samples := len(p)*vad.Chunk - r.IntN(vad.Chunk)
		count := func(d time.Duration) int { return int(d.Seconds() * vad.Rate) }
		want := timestamps(p, samples, c.Threshold, c.Release, count(c.MinSpeech), count(c.MinSilence), count(c.Pad))
		s := vad.NewSegmenter(c)
		for range 2 { // a second sound, too
			var got []vad.Segment
			for _, v := range p {
				if one, ok := s.Next(v); ok {
					one.End = min(one.End, samples)
					got = append(got, one)
				}
				if start, ok := s.Speaking(); ok {
					assert.GreaterOrEqual(t, start, 0)
				}
			}
			got = append(got, s.Finish(samples)...)
			if !assert.Equal(t, want, got, "%+v: %v", c, p) {
				return
			}
		}
		found += len(want)
	}
	assert.Greater(t, found, 3000)
}

func TestSegmenterMisuse(t *testing.T) {
	for _, change := range []func(c *vad.SegmentConfig){
		func(c *vad.SegmentConfig) { c.Threshold = 1.5 }, func(c *vad.SegmentConfig) { c.Release = 0.6 },
		func(c *vad.SegmentConfig) { c.Pad = -1 },
	} {
		c := vad.DefaultSegments()
		change(&c)
		assert.ErrorContains(t, autograd.Try(func() { vad.NewSegmenter(c) }), "want thresholds from 0 to 1, Release at most Threshold, and no negative duration")
	}
}

func ExampleSegmenter() {
	s := vad.NewSegmenter(vad.DefaultSegments())
	for chunk := range 100 {
		p := float32(0.01)
		if chunk >= 20 && chunk < 50 {
			p = 0.99
		}
		if speech, ok := s.Next(p); ok {
			fmt.Printf("%.2f s to %.2f s\n", vad.Seconds(speech.Start), vad.Seconds(speech.End))
		}
	}
	fmt.Println(s.Finish(100 * vad.Chunk))
	// Output:
	// 0.61 s to 1.63 s
	// []
}
