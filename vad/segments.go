package vad

import (
	"fmt"
	"time"

	"github.com/unroll-go/unroll/autograd"
)

// Segment is a stretch of speech: the samples from Start, inclusive, to End, exclusive, counted from the start of the sound.
type Segment struct{ Start, End int }

// Seconds returns a number of samples as seconds.
func Seconds(samples int) float64 { return float64(samples) / Rate }

// SegmentConfig says what counts as a stretch of speech.
type SegmentConfig struct {
	Threshold  float32       // speech begins with a chunk of at least this probability
	Release    float32       // and may end with one of less than this
	MinSpeech  time.Duration // speech of this length or less is dropped
	MinSilence time.Duration // speech ends after a silence of this length: from a chunk below Release, without one of Threshold or more
	Pad        time.Duration // added before and after; where two stretches would overlap, each gets half of the silence between them
}

// DefaultSegments returns the settings of the Python package silero-vad: 0.5 and 0.35, 250 ms, 100 ms and 30 ms.
func DefaultSegments() SegmentConfig {
	return SegmentConfig{0.5, 0.35, 250 * time.Millisecond, 100 * time.Millisecond, 30 * time.Millisecond}
}

// Segmenter makes segments of the probabilities of chunks while they come. They are those of get_speech_timestamps of the Python
// package silero-vad, which knows the whole sound from the start.
type Segmenter struct {
	threshold, release         float32
	minSpeech, minSilence, pad int // samples

	now      int // samples heard
	speaking bool
	start    int  // of the speech that is heard
	long     bool // it is longer than minSpeech
	silent   int  // the first sample of the silence within it, or -1

	last    Segment // the last stretch of speech, with its padding on the left, if pending
	pending bool    // how much padding it gets on the right depends on what comes
}

// NewSegmenter returns a segmenter at the start of a sound. It panics with a [*autograd.UsageError] if the thresholds are not
// within [0, 1], Release is above Threshold or a duration is negative.
func NewSegmenter(c SegmentConfig) *Segmenter {
	if !(c.Threshold >= 0 && c.Threshold <= 1 && c.Release >= 0 && c.Release <= c.Threshold) || min(c.MinSpeech, c.MinSilence, c.Pad) < 0 {
		panic(&autograd.UsageError{Where: "vad.NewSegmenter", What: fmt.Sprintf("%+v, want thresholds from 0 to 1, Release at most Threshold, and no negative duration", c)})
	}
	samples := func(d time.Duration) int { return int(d.Seconds() * Rate) }
	return &Segmenter{threshold: c.Threshold, release: c.Release, minSpeech: samples(c.MinSpeech), minSilence: samples(c.MinSilence),
		pad: samples(c.Pad), silent: -1}
}

// Next hears the probability of the next chunk. If it is clear now where a stretch of speech ended, Next returns it and true. With a
// Pad of at most half of MinSilence that is so MinSilence after the end.
func (s *Segmenter) Next(p float32) (done Segment, ok bool) {
	at := s.now
	s.now += Chunk
	switch {
	case p >= s.threshold:
		if s.silent = -1; !s.speaking {
			s.speaking, s.long, s.start = true, false, at
		}
	case p < s.release && s.speaking && s.silent < 0:
		s.silent = at
	}
	if s.speaking {
		end := at
		if s.silent >= 0 {
			end = s.silent
		}
		if !s.long && end-s.start > s.minSpeech {
			s.long = true
			done, ok = s.begin()
		}
		if s.silent >= 0 && p < s.release && at-s.silent >= s.minSilence {
			s.end(s.silent)
		}
	}
	if next := s.earliest(); s.pending && next-s.last.End >= 2*s.pad {
		s.pending = false
		return Segment{s.last.Start, s.last.End + s.pad}, true
	}
	return done, ok
}

// begin shares the silence before the speech that is heard, now that it is long enough to count. It returns the stretch before, if
// that is pending.
func (s *Segmenter) begin() (done Segment, ok bool) {
	silence := s.start - s.last.End
	if !s.pending || silence >= 2*s.pad {
		s.start = max(0, s.start-s.pad)
		return Segment{}, false
	}
	s.pending = false
	s.start = max(0, s.start-silence/2)
	return Segment{s.last.Start, s.last.End + silence/2}, true
}

// end ends the speech that is heard.
func (s *Segmenter) end(at int) {
	if s.long {
		s.last, s.pending = Segment{s.start, at}, true
	}
	s.speaking, s.silent = false, -1
}

// earliest returns the first sample at which the next stretch of speech can begin.
func (s *Segmenter) earliest() int {
	if s.speaking {
		return s.start
	}
	return s.now
}

// Speaking returns the start of the stretch of speech that is heard, with its padding, and whether there is one that is long enough to count.
func (s *Segmenter) Speaking() (start int, ok bool) { return s.start, s.speaking && s.long }

// Finish ends a sound of so many samples and returns the stretches that are not returned yet, at most two. The segmenter is then
// at the start of a sound.
func (s *Segmenter) Finish(samples int) (done []Segment) {
	if s.speaking {
		if !s.long && samples-s.start > s.minSpeech {
			s.long = true
			if last, ok := s.begin(); ok {
				done = append(done, last)
			}
		}
		if s.pending { // and the speech that is heard is too short or far away
			done = append(done, Segment{s.last.Start, min(samples, s.last.End+s.pad)})
			s.pending = false
		}
		s.end(samples)
	}
	if s.pending {
		done = append(done, Segment{s.last.Start, min(samples, s.last.End+s.pad)})
	}
	*s = Segmenter{threshold: s.threshold, release: s.release, minSpeech: s.minSpeech, minSilence: s.minSilence, pad: s.pad, silent: -1}
	return done
}
