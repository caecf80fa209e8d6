#include "sim/cost/torus_gather.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "sim/base/check.h"
#include "sim/cost/dim_gather.h"

namespace meshstep {
namespace {

std::size_t Index(int i) { return static_cast<std::size_t>(i); }

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
  BalanceParts();
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
  balanced_ = best < 1 + 1e-9;
  seconds_per_byte_ = balanced_ ? bound : best * bound;
}

Seconds TorusGather::Latency() const {
  Seconds sum;
  for (int e = 0; e < count_; ++e) sum += GatherLatency(dim(e), NaturalPattern(dim(e)));
  return sum;
}

Seconds TorusGather::Drain(Bytes v) const { return Seconds(v.value() * seconds_per_byte_); }

void TorusGather::AppendFlows(const RankGrid& grid, Bytes v, std::vector<RankFlow>* flows) const {
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
  for (int e = 0; e < count_; ++e) steps += GatherSteps(dim(e), NaturalPattern(dim(e)));
  return steps;
}

void TorusGather::AppendMessages(const RankGrid& grid, const std::vector<bool>& gathered,
                                 int first_step, MessageSchedule* schedule) const {
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

}  // namespace meshstep
