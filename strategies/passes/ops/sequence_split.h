// Which part of the queries × keys square each rank of a sequence split over c ranks computes.
//
// Positions are a continuum, as everywhere in attention's counts (causal work is half the square):
// a query at x sees keys from x - window to x, or to x + window if not causal. A rank holds one
// contiguous chunk of T / c or, load-balanced, chunks r and 2c - 1 - r of the 2c chunks of T / 2c
// (Llama 3, arXiv 2407.21783 §3.3.2): then all ranks have equal causal work.

#ifndef MESHSTEP_STRATEGIES_PASSES_OPS_SEQUENCE_SPLIT_H_
#define MESHSTEP_STRATEGIES_PASSES_OPS_SEQUENCE_SPLIT_H_

#include <span>

#include "strategies/model/packing.h"

namespace meshstep {

struct Interval {
  double begin = 0, end = 0;
  double length() const { return end > begin ? end - begin : 0; }
};

// What of one set of queries meets one set of keys.
struct AttentionWork {
  double queries = 0, keys = 0;  // positions that meet any of the others
  double pairs = 0;              // visible ones
  bool operator==(const AttentionWork&) const = default;
};

struct SequenceSplit {
  double length = 1;  // T
  int ranks = 1;      // c
  bool balanced = true;
  bool causal = true;
  double window = 0;    // positions a query sees; 0: all
  double chunk = 0;     // queries see only keys of their own stretch of so many; 0: of any
  bool square = false;  // unfused: the kernel computes what it masks
  // Documents that a query sees nothing beyond; null: one. by_document: each of them is cut into the
  // chunks, not the sequence.
  const Packing* packing = nullptr;
  bool by_document = false;

  // Rank's queries with all keys; with the keys that it has after `step` hops of a ring.
  AttentionWork WithAll(int rank) const;
  AttentionWork InRing(int rank, int step) const;
  // Hops after which no rank needs the keys that come.
  int HopsNeeded() const;

 private:
  // At most two intervals each.
  AttentionWork Between(std::span<const Interval> queries, std::span<const Interval> keys) const;
  // Sum of those of all documents, each cut into the chunks. step: -1: with all keys.
  AttentionWork OfEachDocument(int rank, int step) const;
  // Whatever the documents.
  AttentionWork InDocument(std::span<const Interval> queries, std::span<const Interval> keys) const;
  // Of stretches of `chunk` positions, each by itself.
  AttentionWork WithinStretches(std::span<const Interval> queries,
                                std::span<const Interval> keys) const;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_OPS_SEQUENCE_SPLIT_H_
