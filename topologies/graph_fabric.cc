#include "topologies/graph_fabric.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "sim/base/index.h"
#include "topologies/colouring.h"
#include "topologies/graph.h"

namespace meshstep {
GraphFabric::GraphFabric(const Cluster& cluster)
    : nodes_(cluster.devices() + cluster.switches), graph_(cluster.graph) {
  devices_ = cluster.devices();
  links_ = static_cast<LinkId>(graph_.size());
  out_begin_.assign(Index(nodes_) + 1, 0);
  for (const GraphLink& link : graph_) ++out_begin_[Index(link.from) + 1];
  for (int n = 0; n < nodes_; ++n) out_begin_[Index(n) + 1] += out_begin_[Index(n)];
  out_.resize(graph_.size());
  std::vector<int> next = out_begin_;
  for (LinkId link = 0; link < links_; ++link) {
    out_[Index(next[Index(graph_[Index(link)].from)]++)] = link;
  }
  hops_ = HopsToDevices(Explicit(), devices_);

  BytesPerSecond least(std::numeric_limits<double>::infinity());
  Seconds most(0);
  for (DeviceId src = 0; src < devices_; ++src) {
    BytesPerSecond sends(0);
    for (int i = out_begin_[Index(src)]; i < out_begin_[Index(src) + 1]; ++i) {
      sends += graph_[Index(out_[Index(i)])].bandwidth;
    }
    least = std::min(least, sends);
    for (DeviceId dst = 0; dst < devices_; ++dst) {
      CHECK_GE(hops(src, dst), 0) << "the graph is not connected ";
    }
  }
  for (const GraphLink& link : graph_) most = std::max(most, link.latency);
  int diameter = 0;
  for (const std::vector<int>& to : hops_) {
    diameter = std::max(diameter, *std::max_element(to.begin(), to.begin() + devices_));
  }
  levels_.push_back(
      {Level::Kind::kNetwork, "graph", devices_, false, least, diameter * most, false, false});
  FindKeys();
}

void GraphFabric::FindKeys() {
  const FabricGraph graph = Explicit();
  std::vector<int> initial(Index(nodes_), devices_);
  for (DeviceId device = 0; device < devices_; ++device) initial[Index(device)] = device;
  std::map<std::pair<BytesPerSecond, Seconds>, int> weights;
  for (const GraphLink& link : graph_) weights[{link.bandwidth, link.latency}] = 0;
  int next = 0;
  for (auto& weight : weights) weight.second = next++;
  std::vector<int> weight;
  for (const GraphLink& link : graph_) weight.push_back(weights[{link.bandwidth, link.latency}]);
  const std::vector<int> colour = RefineColours(graph, weight, initial);
  std::map<std::tuple<int, int, int>, int> keys;
  for (LinkId link = 0; link < links_; ++link) {
    const GraphLink& l = graph_[Index(link)];
    const auto [entry, is_new] =
        keys.emplace(std::tuple(colour[Index(l.from)], colour[Index(l.to)], weight[Index(link)]),
                     static_cast<int>(keys.size()));
    key_.push_back(entry->second);
    if (is_new) {
      key_count_.push_back(0);
      key_example_.push_back(link);
    }
    ++key_count_[Index(entry->second)];
  }
}

BytesPerSecond GraphFabric::capacity(LinkId link) const { return graph_[Index(link)].bandwidth; }

std::string GraphFabric::LinkName(LinkId link) const {
  const GraphLink& l = graph_[Index(link)];
  const auto name = [&](int node) {
    return node < devices_ ? absl::StrCat("device ", node) : absl::StrCat("switch ", node);
  };
  return absl::StrCat("link ", link, " from ", name(l.from), " to ", name(l.to));
}

template <class Visit>
void GraphFabric::ForEachNext(int node, DeviceId dst, Visit visit) const {
  for (int i = out_begin_[Index(node)]; i < out_begin_[Index(node) + 1]; ++i) {
    const LinkId link = out_[Index(i)];
    const int to = hops(graph_[Index(link)].to, dst);
    if (to >= 0 && to == hops(node, dst) - 1) visit(link);
  }
}

void GraphFabric::Route(DeviceId src, DeviceId dst, std::vector<Hop>* route) const {
  std::map<int, double> here{{src, 1}};  // nodes at one distance from dst, and their shares
  for (int left = hops(src, dst); left > 0; --left) {
    std::map<int, double> there;
    for (const auto& [node, share] : here) {
      int ways = 0;
      ForEachNext(node, dst, [&](LinkId) { ++ways; });
      ForEachNext(node, dst, [&, share = share](LinkId link) {
        route->push_back({link, share / ways});
        there[graph_[Index(link)].to] += share / ways;
      });
    }
    here.swap(there);
  }
}

Seconds GraphFabric::Latency(DeviceId src, DeviceId dst) const {
  // The slowest of the shortest ways: a message is there when its last part is.
  std::map<int, Seconds> here{{src, Seconds(0)}};
  for (int left = hops(src, dst); left > 0; --left) {
    std::map<int, Seconds> there;
    for (const auto& [node, time] : here) {
      ForEachNext(node, dst, [&, time = time](LinkId link) {
        Seconds& at = there[graph_[Index(link)].to];
        at = std::max(at, time + graph_[Index(link)].latency);
      });
    }
    here.swap(there);
  }
  return here.at(dst);
}

int GraphFabric::SymmetryKeys(const std::vector<bool>&) const {
  return static_cast<int>(key_count_.size());
}

int GraphFabric::SymmetryKey(LinkId link, const std::vector<bool>&) const {
  return key_[Index(link)];
}

std::int64_t GraphFabric::KeyCount(int key, const std::vector<bool>&) const {
  return key_count_[Index(key)];
}

LinkId GraphFabric::KeyExample(int key, const std::vector<bool>&) const {
  return key_example_[Index(key)];
}

FabricGraph GraphFabric::Explicit() const {
  FabricGraph graph{nodes_, {}};
  for (LinkId link = 0; link < links_; ++link) {
    graph.edges.push_back({graph_[Index(link)].from, graph_[Index(link)].to, link});
  }
  return graph;
}

}  // namespace meshstep
