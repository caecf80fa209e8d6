#include "sim/calibration/fit_collective.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace meshstep {
namespace {

constexpr double kLeastKnot = 16384;
// Sizes that take no longer than this many times the quickest tell the latency.
constexpr double kQuick = 8;
constexpr std::size_t kLeastQuick = 3;
constexpr int kIterations = 400;

struct Point {
  double bytes, seconds;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// The nearest rising sequence, in squares of logarithms.
void MakeRising(std::vector<Point>* points) {
  struct Pool {
    double sum;
    std::size_t count;
    double mean() const { return sum / static_cast<double>(count); }
  };
  std::vector<Pool> pools;
  for (const Point& point : *points) {
    pools.push_back({std::log(point.seconds), 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().count += last.count;
    }
  }
  auto point = points->begin();
  for (const Pool& pool : pools) {
    for (std::size_t i = 0; i < pool.count; ++i) (point++)->seconds = std::exp(pool.mean());
  }
}

// The median time of each size, rising.
std::vector<Point> CurveOf(std::span<const CollectiveSample> samples, int ranks) {
  std::map<double, std::vector<double>> times;
  for (const CollectiveSample& sample : samples) {
    if (sample.ranks == ranks) times[sample.bytes.value()].push_back(sample.time.value());
  }
  std::vector<Point> curve;
  for (auto& [bytes, seconds] : times) curve.push_back({bytes, Median(std::move(seconds))});
  MakeRising(&curve);
  return curve;
}

// alpha of alpha + beta S through the quick sizes; at most the quickest time less what its bytes
// take at least.
double LatencyOf(const std::vector<Point>& curve, double seconds_per_byte) {
  const Point& first = curve.front();
  const double most = std::max(0.0, first.seconds - first.bytes * seconds_per_byte);
  std::vector<Point> quick;
  for (const Point& point : curve) {
    if (quick.size() < kLeastQuick || point.seconds <= kQuick * first.seconds) {
      quick.push_back(point);
    }
  }
  if (quick.size() < 2) return most / 2;  // one size tells no line: half and half
  const auto loss = [&](std::span<const double> x) {
    double total = 0;
    for (const Point& point : quick) {
      total +=
          RobustLoss(std::log((std::exp(x[0]) + std::exp(x[1]) * point.bytes) / point.seconds));
    }
    return total;
  };
  const Point& last = quick.back();
  std::vector<double> x = {std::log(first.seconds), std::log(last.seconds / last.bytes)};
  for (const double step : {-0.5, 0.1, -0.02}) x = Minimize(loss, x, step, kIterations);
  return std::min(std::exp(x[0]), most);
}

// log-linear between the points, constant beyond, as PortRateAt.
double RateAt(const std::vector<Point>& rates, double bytes) {
  if (bytes <= rates.front().bytes) return rates.front().seconds;
  for (std::size_t i = 1; i < rates.size(); ++i) {
    if (bytes > rates[i].bytes) continue;
    const double part =
        std::log(bytes / rates[i - 1].bytes) / std::log(rates[i].bytes / rates[i - 1].bytes);
    return rates[i - 1].seconds * std::pow(rates[i].seconds / rates[i - 1].seconds, part);
  }
  return rates.back().seconds;
}

std::vector<Bytes> KnotsOf(std::span<const CollectiveSample> samples) {
  std::set<double> all;
  for (const CollectiveSample& sample : samples) all.insert(sample.bytes.value());
  std::vector<Bytes> knots;
  for (const double bytes : all) {
    if (bytes >= kLeastKnot || *all.rbegin() < kLeastKnot) knots.emplace_back(bytes);
  }
  return knots;
}

CollectiveCalibration::Group GroupOf(std::span<const CollectiveSample> samples, int ranks,
                                     const std::vector<Bytes>& knots, double port_bytes,
                                     BytesPerSecond link) {
  const std::vector<Point> curve = CurveOf(samples, ranks);
  const double at_least = port_bytes / link.value();
  CollectiveCalibration::Group group;
  group.ranks = ranks;
  group.latency = Seconds(LatencyOf(curve, at_least));
  std::vector<Point> rates;  // `seconds` holds bytes per second here
  for (const Point& point : curve) {
    if (point.bytes < knots.front().value()) continue;
    const double drain = std::max(point.seconds - group.latency.value(), at_least * point.bytes);
    rates.push_back({point.bytes, port_bytes * point.bytes / drain});
  }
  // A group measured on small sizes only, where another reaches further.
  if (rates.empty()) {
    const Point& point = curve.back();
    const double drain = std::max(point.seconds - group.latency.value(), at_least * point.bytes);
    rates.push_back({point.bytes, port_bytes * point.bytes / drain});
  }
  for (const Bytes knot : knots) group.rates.emplace_back(RateAt(rates, knot.value()));
  return group;
}

}  // namespace

double PortBytes(std::string_view collective, std::string_view algorithm, bool full_mesh, int p) {
  const double twice = collective == "all-reduce" ? 2 : 1;
  if (algorithm == "in-network" || algorithm == "point-to-point") return 1;
  if (full_mesh && algorithm == "direct") return twice / p;
  return twice * (p - 1) / p;
}

CollectiveFit FitCollective(std::span<const CollectiveSample> samples, CollectiveCalibration entry,
                            BytesPerSecond link, bool full_mesh) {
  std::set<int> ranks;
  for (const CollectiveSample& sample : samples) ranks.insert(sample.ranks);
  entry.sizes = KnotsOf(samples);
  entry.groups.clear();
  const auto port_bytes = [&](int p) {
    return PortBytes(entry.collective, entry.algorithm, full_mesh, p);
  };
  for (const int p : ranks) {
    entry.groups.push_back(GroupOf(samples, p, entry.sizes, port_bytes(p), link));
  }
  std::vector<double> errors;
  for (const CollectiveSample& sample : samples) {
    const Seconds predicted =
        entry.Latency(sample.ranks) +
        port_bytes(sample.ranks) * sample.bytes / entry.PortRateAt(sample.ranks, sample.bytes);
    errors.push_back(std::abs(predicted / sample.time - 1));
  }
  return {std::move(entry), ResidualsOf(std::move(errors))};
}

}  // namespace meshstep
