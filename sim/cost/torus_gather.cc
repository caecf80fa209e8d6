#include "sim/cost/torus_gather.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/cost/dim_gather.h"

namespace meshstep {
namespace {

using Matrix = std::vector<std::vector<double>>;

// Solves rows · x = right by Gaussian elimination with pivoting; nothing if singular.
std::optional<std::vector<double>> Solve(Matrix rows, std::vector<double> right) {
  const std::size_t n = rows.size();
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t pivot = i;
    for (std::size_t r = i + 1; r < n; ++r) {
      if (std::abs(rows[r][i]) > std::abs(rows[pivot][i])) pivot = r;
    }
    if (std::abs(rows[pivot][i]) < 1e-12) return std::nullopt;
    std::swap(rows[i], rows[pivot]);
    std::swap(right[i], right[pivot]);
    for (std::size_t r = 0; r < n; ++r) {
      if (r == i) continue;
      const double factor = rows[r][i] / rows[i][i];
      for (std::size_t c = i; c < n; ++c) rows[r][c] -= factor * rows[i][c];
      right[r] -= factor * right[i];
    }
  }
  for (std::size_t i = 0; i < n; ++i) right[i] /= rows[i][i];
  return right;
}

// The vertex of the linear program where the dims of `tight` are equally the busiest and only the
// parts of `used` are not empty: their shares, then the load.
std::optional<std::vector<double>> Vertex(const Matrix& load, unsigned tight, unsigned used) {
  const int d = static_cast<int>(load.size());
  Matrix rows;
  std::vector<double> right;
  const auto row = [&](auto coefficient, double last, double value) {
    rows.emplace_back();
    for (int k = 0; k < d; ++k) {
      if (used >> k & 1u) rows.back().push_back(coefficient(k));
    }
    rows.back().push_back(last);
    right.push_back(value);
  };
  for (int e = 0; e < d; ++e) {
    if (tight >> e & 1u) row([&](int k) { return load[Index(e)][Index(k)]; }, -1, 0);
  }
  row([](int) { return 1.0; }, 0, 1);
  const auto solution = Solve(std::move(rows), std::move(right));
  if (!solution) return std::nullopt;
  std::vector<double> parts(Index(d), 0.0);
  std::size_t next = 0;
  for (int k = 0; k < d; ++k) {
    if (!(used >> k & 1u)) continue;
    const double share = (*solution)[next++];
    if (share < -1e-12) return std::nullopt;
    parts[Index(k)] = std::max(share, 0.0);
  }
  return parts;
}

double WorstLoad(const Matrix& load, const std::vector<double>& parts) {
  double worst = 0;
  for (const std::vector<double>& row : load) {
    double sum = 0;
    for (std::size_t k = 0; k < row.size(); ++k) sum += row[k] * parts[k];
    worst = std::max(worst, sum);
  }
  return worst;
}

double LinksPerRank(const Group::Dim& dim) { return dim.ring && dim.size > 2 ? 2 : 1; }

}  // namespace

TorusGather::TorusGather(const Group& group, int first, int count)
    : group_(&group), first_(first), count_(count) {
  CHECK_GE(count, 1);
  if (group.twist > 0) {
    twisted_.emplace(RankGrid(group), first, count, group.twist);
    BalanceTwisted();
  } else {
    BalanceParts();
  }
}

void TorusGather::BalanceTwisted() {
  double ranks = 1;
  for (int e = 0; e < count_; ++e) ranks *= dim(e).size;
  parts_.assign(Index(count_), 1.0 / count_);
  seconds_per_byte_ = (1 - 1 / ranks) / (2 * count_ * dim(0).bandwidth.value());
}

double TorusGather::GatheredFraction(int k, int j) const {
  double fraction = 1;
  for (int i = j + 1; i < count_; ++i) fraction /= dim((k + i) % count_).size;
  return fraction;
}

// A vertex of the linear program is optimal; d <= 6 makes at most C(12, 6) = 924 of them.
void TorusGather::BalanceParts() {
  Matrix load(Index(count_), std::vector<double>(Index(count_), 0.0));
  double ranks = 1, ports = 0;
  for (int e = 0; e < count_; ++e) {
    ranks *= dim(e).size;
    ports += LinksPerRank(dim(e)) * dim(e).bandwidth.value();
  }
  for (int k = 0; k < count_; ++k) {
    for (int j = 0; j < count_; ++j) {
      const int e = (k + j) % count_;
      load[Index(e)][Index(k)] =
          GatherDrain(dim(e), NaturalPattern(dim(e)), Bytes(GatheredFraction(k, j))).value();
    }
  }
  const double bound = (1 - 1 / ranks) / ports;
  for (std::vector<double>& row : load) {
    for (double& value : row) value /= bound;  // of order 1
  }
  double best = 0;
  for (unsigned used = 1; used < 1u << count_; ++used) {
    for (unsigned tight = 1; tight < 1u << count_; ++tight) {
      if (std::popcount(used) != std::popcount(tight)) continue;
      const auto parts = Vertex(load, tight, used);
      if (!parts) continue;
      const double worst = WorstLoad(load, *parts);
      if (!parts_.empty() && worst > best * (1 - 1e-12)) continue;
      best = worst;
      parts_ = *parts;
    }
  }
  CHECK(!parts_.empty());
  seconds_per_byte_ = best < 1 + 1e-9 ? bound : best * bound;
}

Seconds TorusGather::Latency() const {
  if (twisted_) return Steps() * dim(0).latency;
  Seconds sum;
  for (int e = 0; e < count_; ++e) sum += GatherLatency(dim(e), NaturalPattern(dim(e)));
  return sum;
}

Seconds TorusGather::Drain(Bytes v) const { return Seconds(v.value() * seconds_per_byte_); }

void TorusGather::AppendFlows(const RankGrid& grid, Bytes v, std::vector<RankFlow>* flows) const {
  if (twisted_) {
    double ranks = 1;
    for (int e = 0; e < count_; ++e) ranks *= dim(e).size;
    const Bytes each = v * (1 - 1 / ranks) / (2 * count_);
    for (int rank = 0; rank < grid.ranks(); ++rank) {
      for (int e = 0; e < count_; ++e) {
        for (const int way : {1, -1}) flows->push_back({rank, twisted_->Step(rank, e, way), each});
      }
    }
    return;
  }
  for (int e = 0; e < count_; ++e) {
    double gathered = 0;
    for (int k = 0; k < count_; ++k) {
      gathered += parts_[Index(k)] * GatheredFraction(k, (e - k + count_) % count_);
    }
    AppendGatherFlows(grid, first_ + e, NaturalPattern(dim(e)), v * gathered, flows);
  }
}

std::vector<double> TorusGather::PieceFractions() const {
  std::vector<double> fractions;
  for (const double part : parts_) {
    fractions.push_back(part / 2);
    fractions.push_back(part / 2);
  }
  return fractions;
}

int TorusGather::Steps() const {
  int steps = 0;
  for (int j = 0; twisted_ && j < count_; ++j) steps += twisted_->Closes(j) / 2;
  if (twisted_) return steps;
  for (int e = 0; e < count_; ++e) steps += GatherSteps(dim(e), NaturalPattern(dim(e)));
  return steps;
}

void TorusGather::AppendMessages(const RankGrid& grid, const std::vector<bool>& gathered,
                                 int first_step, MessageSchedule* schedule) const {
  if (twisted_) {
    // What rank 0 holds: all coordinates of the dims gathered before.
    std::vector<int> coset = {0};
    for (int d = 0; d < grid.dims(); ++d) {
      if (!gathered[Index(d)]) continue;
      const std::vector<int> before = coset;
      for (int i = 1; i < grid.size(d); ++i) {
        for (const int rank : before) coset.push_back(grid.Shift(rank, d, i));
      }
    }
    for (int k = 0; k < count_; ++k) AppendTwisted(k, coset, first_step, schedule);
    return;
  }
  for (int k = 0; k < count_; ++k) {
    if (parts_[Index(k)] <= 0) continue;
    std::vector<bool> done = gathered;
    int step = first_step;
    for (int j = 0; j < count_; ++j) {
      const int e = (k + j) % count_;
      const GatherPattern pattern = NaturalPattern(dim(e));
      AppendGatherMessages(grid, {first_ + e, pattern, done, 2 * k, 2, step}, schedule);
      done[Index(first_ + e)] = true;
      step += GatherSteps(dim(e), pattern);
    }
  }
}

// In the quotient by `coset` every dim is a ring: as kBidirectional of sim/cost/dim_gather.cc, each
// rank hands on what it got s steps ago, a block being a coset.
void TorusGather::AppendTwisted(int k, std::vector<int> coset, int step,
                                MessageSchedule* schedule) const {
  const int ranks = group_->size();
  for (int j = 0; j < count_; ++j) {
    const int e = (k + j) % count_, closes = twisted_->Closes(j);
    const auto send = [&](int s, int rank, int way, int first_piece, int pieces) {
      const int start = twisted_->Step(rank, e, -way * s);
      Message m{step + s, rank, twisted_->Step(rank, e, way), {}, false};
      for (const int offset : coset) {
        const int chunk = twisted_->Add(start, offset);
        for (int p = 0; p < pieces; ++p) {
          m.chunks.push_back(chunk * schedule->splits + first_piece + p);
        }
      }
      schedule->messages.push_back(std::move(m));
    };
    for (int s = 0; s < closes / 2; ++s) {
      // The block half-way around comes half from each side.
      const bool halves = closes % 2 == 0 && s == closes / 2 - 1;
      for (int rank = 0; rank < ranks; ++rank) {
        send(s, rank, 1, 2 * k, halves ? 1 : 2);
        send(s, rank, -1, 2 * k + (halves ? 1 : 0), halves ? 1 : 2);
      }
    }
    coset = twisted_->Extend(coset, e, closes);
    step += closes / 2;
  }
}

}  // namespace meshstep
