#include "topologies/torus_fabric.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "sim/base/index.h"

namespace meshstep {
namespace {

constexpr const char* kDimensionNames[kMaxTorusDimensions] = {"x", "y", "z", "u", "v", "w"};

// Hops of a ring of e from a to b, upwards.
int Upwards(int a, int b, int e) { return (b - a + e) % e; }

}  // namespace

TorusFabric::TorusFabric(const Cluster& cluster, RateSet rates, Fidelity fidelity)
    : dimensions_(static_cast<int>(cluster.slice.size())) {
  CHECK(dimensions_ >= 1 && dimensions_ <= kMaxTorusDimensions);
  CHECK_EQ(cluster.wraps.size(), cluster.slice.size());
  const Interconnect& net = cluster.chip.interconnect;
  if (fidelity == Fidelity::kCalibrated) usable_ = net.usable_fraction;
  const int dies = cluster.chip.devices_per_chip;
  if (dies > 1) {
    AddLevel({Level::Kind::kSwitch, "die", dies, false, net.die_to_die, net.latency, false});
  }
  first_ = dies > 1 ? 1 : 0;
  AddTorusLevels(cluster, cluster.chip.rates(rates).link * usable_, net.latency);
  devices_ = cluster.devices();
  const bool calibrated = fidelity == Fidelity::kCalibrated;
  if (calibrated) library_ = cluster.library;
  AddSlices(cluster, calibrated ? net.scale_out_usable_fraction : 1);
  for (Level& level : levels_) {
    if (calibrated) level.torus = cluster.chip.torus_collectives;
  }
  AddTorusLinks(cluster.chip.rates(rates).link * usable_);
  if (dies > 1) die_family_ = AddFamily("die", 2, ExtentsFrom(0), net.die_to_die);
}

void TorusFabric::AddTorusLevels(const Cluster& cluster, BytesPerSecond link, Seconds latency) {
  const auto [shortest, longest] = std::minmax_element(cluster.slice.begin(), cluster.slice.end());
  if (cluster.twisted) twist_ = *shortest;
  for (int d = 0; d < dimensions_; ++d) {
    const int e = cluster.slice[Index(d)];
    ring_.push_back(cluster.wraps[Index(d)] && e > 2);
    if (twist_ > 0) {
      CHECK(ring_.back() && (e == twist_ || e == 2 * twist_) && *longest == 2 * twist_)
          << "a twisted torus is n x n x 2n or n x 2n x 2n ";
      tied_ |= 1u << level_of(d);
    }
    if (!ring_.back() && e > 2) always_fixed_ |= 1u << level_of(d);
    // A short dimension of a twisted torus does not close on itself.
    const bool wraps = ring_.back() && (twist_ == 0 || e == 2 * twist_);
    const bool shifts = twist_ == 0 && (wraps || e <= 2);
    AddLevel({Level::Kind::kTorus, kDimensionNames[d], e, wraps, link, latency, false, shifts});
    levels_.back().usable = usable_;
    levels_.back().twist = twist_;
  }
}

void TorusFabric::AddTorusLinks(BytesPerSecond link) {
  const Coordinates extents = ExtentsFrom(first_);
  for (int d = 0; d < dimensions_; ++d) {
    const int e = extent(d);
    Coordinates box = extents;
    // The links of a line are named by the lower of their two ends.
    if (!ring_[Index(d)] && e != 2) box[Index(level_of(d))] = e - 1;
    family_.push_back(AddFamily(kDimensionNames[d], e == 2 ? 1 : 2, box, link, usable_));
  }
}

void TorusFabric::AddSlices(const Cluster& cluster, double usable) {
  if (cluster.slices == 1) return;
  AddLevel({Level::Kind::kNetwork, "slice", cluster.slices, false,
            cluster.dcn * usable / cluster.chip.devices_per_chip, cluster.dcn_latency, false});
  levels_.back().usable = usable;
  Coordinates hosts = ExtentsFrom(first_);
  host_.fill(1);
  int chips_per_host = 1;
  const std::vector<int>& host = cluster.chip.interconnect.host;
  for (int d = 0; d < dimensions_ && d < static_cast<int>(host.size()); ++d) {
    const int shared = std::gcd(host[Index(d)], extent(d));
    host_[Index(level_of(d))] = shared;
    hosts[Index(level_of(d))] /= shared;
    chips_per_host *= shared;
  }
  dcn_family_ = AddFamily("dcn", 2, hosts, cluster.dcn * usable * chips_per_host, usable);
}

Coordinates TorusFabric::HostOf(Coordinates at) const {
  for (int d = 0; d < dimensions_; ++d) at[Index(level_of(d))] /= host_[Index(level_of(d))];
  return at;
}

bool TorusFabric::SameSlice(const Coordinates& a, const Coordinates& b) const {
  return dcn_family_ < 0 || a[Index(level_of(dimensions_))] == b[Index(level_of(dimensions_))];
}

bool TorusFabric::SameChip(const Coordinates& a, const Coordinates& b) const {
  return std::equal(a.begin() + first_, a.end(), b.begin() + first_);
}

LinkId TorusFabric::Step(int dimension, int direction, Coordinates* at) const {
  const int e = extent(dimension);
  const auto l = Index(level_of(dimension));
  const int family = family_[Index(dimension)];
  Coordinates owner = *at;
  if (!ring_[Index(dimension)] && e > 2 && direction < 0) --owner[l];
  const LinkId link = LinkAt(family, e > 2 && direction < 0 ? 1 : 0, owner);
  const int next = (*at)[l] + direction;
  (*at)[l] = (next + e) % e;
  if (twist_ > 0 && e == twist_ && (next < 0 || next >= e)) {
    for (int d = 0; d < dimensions_; ++d) {
      if (extent(d) != twist_) {
        int& c = (*at)[Index(level_of(d))];
        c = (c + twist_) % (2 * twist_);
      }
    }
  }
  return link;
}

void TorusFabric::Walk(int dimension, int direction, int count, double fraction, Coordinates* at,
                       std::vector<Hop>* hops) const {
  for (int i = 0; i < count; ++i) hops->push_back({Step(dimension, direction, at), fraction});
}

void TorusFabric::RouteStraight(Coordinates at, const Coordinates& to,
                                std::vector<Hop>* hops) const {
  for (int d = 0; d < dimensions_; ++d) {
    const auto l = Index(level_of(d));
    const int delta = to[l] - at[l];
    if (delta == 0) continue;
    if (!ring_[Index(d)]) {
      Walk(d, delta > 0 ? 1 : -1, std::abs(delta), 1, &at, hops);
      continue;
    }
    const int up = Upwards(at[l], to[l], extent(d));
    const int down = extent(d) - up;
    if (up == down) {
      Coordinates other = at;
      Walk(d, -1, down, 0.5, &other, hops);
      Walk(d, 1, up, 0.5, &at, hops);
    } else {
      Walk(d, up < down ? 1 : -1, std::min(up, down), 1, &at, hops);
    }
  }
}

// The twisted torus is the integer lattice modulo n e_s - n (sum of e_l) for each short dimension s
// and 2n e_l for each long dimension l. A shortest displacement goes around a short dimension at
// most once, and around a long one less than once.
std::vector<TorusFabric::Displacement> TorusFabric::ShortestDisplacements(
    const Coordinates& from, const Coordinates& to) const {
  int shorts = 0, choices = 1;
  for (int d = 0; d < dimensions_; ++d) shorts += extent(d) == twist_;
  for (int i = 0; i < shorts; ++i) choices *= 3;
  std::vector<Displacement> found;
  int best = std::numeric_limits<int>::max();
  // Bit d of `halves`: a long dimension at distance n takes the way down.
  for (int halves = 0; halves < 1 << dimensions_; ++halves) {
    for (int choice = 0; choice < choices; ++choice) {
      Displacement way{};
      const int length = DisplacementOf(from, to, choice, halves, &way);
      if (length < 0 || length > best) continue;
      if (length < best) found.clear();
      best = length;
      found.push_back(way);
    }
  }
  return found;
}

int TorusFabric::DisplacementOf(const Coordinates& from, const Coordinates& to, int choice,
                                int halves, Displacement* way) const {
  int turns = 0, length = 0;
  for (int d = 0; d < dimensions_; ++d) {
    if (extent(d) != twist_) continue;
    const int turn = choice % 3 - 1;
    choice /= 3;
    turns += turn;
    if ((halves >> d & 1) != 0) return -1;
    const int delta = to[Index(level_of(d))] - from[Index(level_of(d))] + turn * twist_;
    (*way)[Index(d)] = delta;
    length += std::abs(delta);
  }
  for (int d = 0; d < dimensions_; ++d) {
    if (extent(d) == twist_) continue;
    const int delta = to[Index(level_of(d))] - from[Index(level_of(d))] - turns * twist_;
    const int up = Upwards(0, delta + 8 * twist_ * dimensions_, 2 * twist_);
    const bool down = (halves >> d & 1) != 0;
    if (down && up != twist_) return -1;
    (*way)[Index(d)] = up < twist_ || (up == twist_ && !down) ? up : up - 2 * twist_;
    length += std::abs((*way)[Index(d)]);
  }
  return length;
}

void TorusFabric::RouteTwisted(const Coordinates& from, const Coordinates& to,
                               std::vector<Hop>* hops) const {
  const std::vector<Displacement> ways = ShortestDisplacements(from, to);
  const double fraction = 1 / static_cast<double>(ways.size());
  for (const Displacement& way : ways) {
    Coordinates at = from;
    for (int d = 0; d < dimensions_; ++d) {
      Walk(d, way[Index(d)] > 0 ? 1 : -1, std::abs(way[Index(d)]), fraction, &at, hops);
    }
  }
}

void TorusFabric::Route(DeviceId src, DeviceId dst, std::vector<Hop>* hops) const {
  if (src == dst) return;
  const Coordinates from = CoordinatesOf(src), to = CoordinatesOf(dst);
  if (!SameSlice(from, to)) {
    hops->push_back({LinkAt(dcn_family_, 0, HostOf(from)), 1});
    hops->push_back({LinkAt(dcn_family_, 1, HostOf(to)), 1});
  } else if (SameChip(from, to)) {
    hops->push_back({LinkAt(die_family_, 0, from), 1});
    hops->push_back({LinkAt(die_family_, 1, to), 1});
  } else if (twist_ > 0) {
    RouteTwisted(from, to, hops);
  } else {
    RouteStraight(from, to, hops);
  }
}

int TorusFabric::Distance(const Coordinates& from, const Coordinates& to) const {
  int hops = 0;
  if (twist_ > 0) {
    const Displacement way = ShortestDisplacements(from, to).front();
    for (const int c : way) hops += std::abs(c);
    return hops;
  }
  for (int d = 0; d < dimensions_; ++d) {
    const auto l = Index(level_of(d));
    const int direct = std::abs(to[l] - from[l]);
    hops += ring_[Index(d)] ? std::min(direct, extent(d) - direct) : direct;
  }
  return hops;
}

Seconds TorusFabric::Latency(DeviceId src, DeviceId dst) const {
  if (src == dst) return Seconds(0);
  const Coordinates from = CoordinatesOf(src), to = CoordinatesOf(dst);
  if (!SameSlice(from, to)) return levels_.back().latency;
  if (SameChip(from, to)) return levels_.front().latency;
  return Distance(from, to) * levels_[Index(first_)].latency;
}

std::string TorusFabric::LinkName(LinkId link) const {
  LinkPlace place = PlaceOf(link);
  const bool die = place.family == die_family_;
  if (place.family == dcn_family_) {
    for (int d = 0; d < dimensions_; ++d) {
      place.at[Index(level_of(d))] *= host_[Index(level_of(d))];
    }
  }
  bool down = place.variant == 1;
  if (!die && place.family != dcn_family_) {
    const int d =
        static_cast<int>(std::find(family_.begin(), family_.end(), place.family) - family_.begin());
    int& at = place.at[Index(level_of(d))];
    if (extent(d) == 2) down = at == 1;
    // Named by the chip that sends.
    if (down && !ring_[Index(d)] && extent(d) > 2) ++at;
  }
  std::string name = family(place.family).name;
  absl::StrAppend(
      &name, die || place.family == dcn_family_ ? (down ? " down" : " up") : (down ? "-" : "+"),
      " (");
  for (int d = 0; d < dimensions_; ++d) {
    absl::StrAppend(&name, d > 0 ? "," : "", place.at[Index(level_of(d))]);
  }
  absl::StrAppend(&name, ")");
  if (die) absl::StrAppend(&name, " die ", place.at[0]);
  if (dcn_family_ >= 0) {
    absl::StrAppend(&name, " slice ", place.at[Index(level_of(dimensions_))]);
  }
  return name;
}

FabricGraph TorusFabric::Explicit() const {
  const int dies = first_ == 0 ? 1 : levels_.front().extent;
  const int chips = devices_ / dies;
  // Chips of several dies: devices, then a switch, a way out and a way in per chip.
  FabricGraph graph{first_ == 0 ? devices_ : devices_ + 3 * chips, {}};
  const auto out = [&](int chip) { return first_ == 0 ? chip : devices_ + chips + chip; };
  const auto in = [&](int chip) { return first_ == 0 ? chip : devices_ + 2 * chips + chip; };
  for (DeviceId device = 0; first_ == 1 && device < devices_; ++device) {
    const int chip = device / dies;
    const Coordinates at = CoordinatesOf(device);
    graph.edges.push_back({device, devices_ + chip, LinkAt(die_family_, 0, at)});
    graph.edges.push_back({devices_ + chip, device, LinkAt(die_family_, 1, at)});
    graph.edges.push_back({device, out(chip), kNoLink});
    graph.edges.push_back({in(chip), device, kNoLink});
  }
  for (int chip = 0; chip < chips; ++chip) {
    if (first_ == 1) graph.edges.push_back({in(chip), out(chip), kNoLink});
    const Coordinates at = CoordinatesOf(chip * dies);
    for (int d = 0; d < dimensions_; ++d) {
      for (const int direction : {1, -1}) {
        const int next = at[Index(level_of(d))] + direction;
        if (!ring_[Index(d)] && (next < 0 || next >= extent(d))) continue;
        Coordinates to = at;
        const LinkId link = Step(d, direction, &to);
        graph.edges.push_back({out(chip), in(DeviceAt(to) / dies), link});
      }
    }
  }
  if (dcn_family_ >= 0) ExplicitSlices(&graph, out(0), in(0));
  return graph;
}

// One switch joins the hosts of all slices.
void TorusFabric::ExplicitSlices(FabricGraph* graph, int chips_out, int chips_in) const {
  const int dies = first_ == 0 ? 1 : levels_.front().extent;
  const int network = graph->nodes++;
  const LinkId first = family(dcn_family_).first;
  const int hosts = family(dcn_family_).size / 2;
  const int ports = graph->nodes;
  graph->nodes += 2 * hosts;
  for (int host = 0; host < hosts; ++host) {
    graph->edges.push_back({ports + 2 * host, network, first + 2 * host});
    graph->edges.push_back({network, ports + 2 * host + 1, first + 2 * host + 1});
  }
  for (int chip = 0; chip < devices_ / dies; ++chip) {
    const LinkId up = LinkAt(dcn_family_, 0, HostOf(CoordinatesOf(chip * dies)));
    const int port = ports + (up - first);
    graph->edges.push_back({chips_out + chip, port, kNoLink});
    graph->edges.push_back({port + 1, chips_in + chip, kNoLink});
  }
}

}  // namespace meshstep
