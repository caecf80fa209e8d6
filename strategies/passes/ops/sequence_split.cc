#include "strategies/passes/ops/sequence_split.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "sim/base/check.h"

namespace meshstep {
namespace {

// Integral of clamp(u, low, high) over u from 0 to x.
double IntegralOfClamp(double x, double low, double high) {
  const double inside = std::clamp(x, low, high);
  return low * std::min(x, low) + (inside * inside - low * low) / 2 + high * std::max(x - high, 0.);
}

Interval Intersection(const Interval& a, const Interval& b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

// A few intervals in place: a ring of c ranks asks c squared times.
template <std::size_t kMost>
class Few {
 public:
  void push_back(const Interval& interval) {
    CHECK_LT(size_, kMost);
    of_[size_++] = interval;
  }
  std::size_t size() const { return size_; }
  Interval& operator[](std::size_t i) { return of_[i]; }
  const Interval* data() const { return of_.data(); }
  const Interval* begin() const { return of_.data(); }
  const Interval* end() const { return of_.data() + size_; }

 private:
  std::array<Interval, kMost> of_;
  std::size_t size_ = 0;
};
using Chunks = Few<2>;

Chunks ChunksOf(const SequenceSplit& split, int rank) {
  const double length = split.length;
  const int ranks = split.ranks;
  Chunks chunks;
  if (!split.balanced) {
    chunks.push_back({rank * length / ranks, (rank + 1) * length / ranks});
    return chunks;
  }
  const double half = length / (2 * ranks);
  const int back = 2 * ranks - 1 - rank;
  chunks.push_back({rank * half, (rank + 1) * half});
  chunks.push_back({back * half, (back + 1) * half});
  return chunks;
}

// Length of the union.
double Covered(Few<4> intervals) {
  for (std::size_t i = 1; i < intervals.size(); ++i) {
    for (std::size_t j = i; j > 0 && intervals[j].begin < intervals[j - 1].begin; --j) {
      std::swap(intervals[j], intervals[j - 1]);
    }
  }
  double length = 0, end = 0;
  for (const Interval& i : intervals) {
    length += Interval{std::max(i.begin, end), i.end}.length();
    end = std::max(end, i.end);
  }
  return length;
}

Chunks Parts(std::span<const Interval> intervals, const Interval& of) {
  Chunks parts;
  for (const Interval& i : intervals) {
    const Interval part = Intersection(i, of);
    if (part.length() > 0) parts.push_back(part);
  }
  return parts;
}

}  // namespace

AttentionWork SequenceSplit::WithinStretches(std::span<const Interval> queries,
                                             std::span<const Interval> keys) const {
  SequenceSplit one = *this;
  one.chunk = 0;
  AttentionWork sum;
  for (double begin = 0; begin < length; begin += chunk) {
    const Interval stretch{begin, std::min(length, begin + chunk)};
    const AttentionWork work = one.InDocument(Parts(queries, stretch), Parts(keys, stretch));
    sum.queries += work.queries;
    sum.keys += work.keys;
    sum.pairs += work.pairs;
  }
  return sum;
}

AttentionWork SequenceSplit::InDocument(std::span<const Interval> queries,
                                        std::span<const Interval> keys) const {
  if (chunk > 0 && chunk < length && !square) return WithinStretches(queries, keys);
  // Query x sees [x - before, x + after].
  const double before = square || window <= 0 ? length : window;
  const double after = square ? length : causal ? 0 : before;
  AttentionWork work;
  Few<4> seeing, seen;
  for (const Interval& k : keys) {
    for (const Interval& q : queries) {
      const auto until = [&](double shift) {
        return IntegralOfClamp(q.end + shift, k.begin, k.end) -
               IntegralOfClamp(q.begin + shift, k.begin, k.end);
      };
      const double pairs = until(after) - until(-before);
      if (pairs <= 0) continue;
      work.pairs += pairs;
      seen.push_back(Intersection({q.begin - before, q.end + after}, k));
      seeing.push_back(Intersection({k.begin - after, k.end + before}, q));
    }
  }
  work.queries = Covered(seeing);
  work.keys = Covered(seen);
  return work;
}

// Of chunks that are apart at most one document lies in both.
AttentionWork SequenceSplit::Between(std::span<const Interval> queries,
                                     std::span<const Interval> keys) const {
  if (packing == nullptr || square) return InDocument(queries, keys);
  AttentionWork work;
  const std::vector<double>& ends = packing->ends();
  double done = 0;  // documents up to here are counted
  for (const Interval& q : queries) {
    auto end = std::upper_bound(ends.begin(), ends.end(), std::max(q.begin, done));
    for (; end != ends.end(); ++end) {
      const Interval document{end == ends.begin() ? 0 : *(end - 1), *end};
      if (document.begin >= q.end) break;
      done = document.end;
      const AttentionWork one = InDocument(Parts(queries, document), Parts(keys, document));
      work.queries += one.queries;
      work.keys += one.keys;
      work.pairs += one.pairs;
    }
  }
  return work;
}

AttentionWork SequenceSplit::OfEachDocument(int rank, int step) const {
  AttentionWork work;
  SequenceSplit one = *this;
  one.packing = nullptr;
  for (const auto& [length_of, documents] : packing->lengths()) {
    one.length = length_of;
    const AttentionWork part = step < 0 ? one.WithAll(rank) : one.InRing(rank, step);
    work.queries += documents * part.queries;
    work.keys += documents * part.keys;
    work.pairs += documents * part.pairs;
  }
  return work;
}

AttentionWork SequenceSplit::WithAll(int rank) const {
  if (by_document && packing != nullptr) return OfEachDocument(rank, -1);
  const Interval all{0, length};
  return Between(ChunksOf(*this, rank), {&all, 1});
}

AttentionWork SequenceSplit::InRing(int rank, int step) const {
  if (by_document && packing != nullptr) return OfEachDocument(rank, step);
  return Between(ChunksOf(*this, rank), ChunksOf(*this, (rank - step + ranks) % ranks));
}

int SequenceSplit::HopsNeeded() const {
  for (int hops = ranks - 1; hops > 0; --hops) {
    for (int rank = 0; rank < ranks; ++rank) {
      if (InRing(rank, hops).pairs > 0) return hops;
    }
  }
  return 0;
}

}  // namespace meshstep
