#include "topologies/load_graph.h"

#include <vector>

#include "meshstep/v1/cluster.pb.h"
#include "topologies/field_checks.h"
#include "topologies/graph_fabric.h"

namespace meshstep {
namespace {

constexpr int kMaxSwitches = 65536;
constexpr int kMaxLinks = 65536;
constexpr std::size_t kMaxReported = 20;  // problems of links

// Nodes that can be reached from device 0 along the links, or against them.
std::vector<bool> Reached(const Cluster& cluster, bool forwards) {
  const auto nodes = static_cast<std::size_t>(cluster.devices() + cluster.switches);
  std::vector<std::vector<int>> next(nodes);
  for (const GraphLink& link : cluster.graph) {
    next[static_cast<std::size_t>(forwards ? link.from : link.to)].push_back(forwards ? link.to
                                                                                      : link.from);
  }
  std::vector<bool> reached(nodes, false);
  std::vector<int> open{0};
  reached[0] = true;
  while (!open.empty()) {
    const int node = open.back();
    open.pop_back();
    for (const int to : next[static_cast<std::size_t>(node)]) {
      if (reached[static_cast<std::size_t>(to)]) continue;
      reached[static_cast<std::size_t>(to)] = true;
      open.push_back(to);
    }
  }
  return reached;
}

// Device 0 reaches all and all reach it; else the first device that breaks this is named.
void CheckConnected(const Cluster& cluster, const std::string& field, Diagnostics* diagnostics) {
  for (const bool forwards : {true, false}) {
    const std::vector<bool> reached = Reached(cluster, forwards);
    for (int device = 0; device < cluster.devices(); ++device) {
      if (reached[static_cast<std::size_t>(device)]) continue;
      diagnostics->Error(field, absl::StrCat("is disconnected: device ", forwards ? 0 : device,
                                             " cannot reach device ", forwards ? device : 0,
                                             "; expected a way from every device to every other"));
      return;
    }
  }
}

void LoadLink(const v1::GraphLink& proto, int nodes, const std::string& item,
              Diagnostics* diagnostics, std::vector<GraphLink>* links) {
  GraphLink link;
  link.from = CheckedInt(proto.from(), 0, nodes - 1, item + ".from", diagnostics);
  link.to = CheckedInt(proto.to(), 0, nodes - 1, item + ".to", diagnostics);
  if (proto.from() == proto.to()) {
    diagnostics->Error(item + ".to", absl::StrCat("is ", proto.to(), ", the same node as from"));
  }
  link.bandwidth = BytesPerSecond(1e9 * CheckedQuantity(proto.gbytes_per_s(), kGigabytesPerSecond,
                                                        item + ".gbytes_per_s", diagnostics));
  const double latency = proto.has_latency_ns() ? proto.latency_ns() : 1000;
  link.latency = Seconds(CheckedNanoseconds(latency, item + ".latency_ns", diagnostics) * 1e-9);
  links->push_back(link);
  if (proto.one_way()) return;
  std::swap(link.from, link.to);
  links->push_back(link);
}

bool CheckSizes(const v1::Cluster& proto, const Cluster& cluster, const std::string& field,
                Diagnostics* diagnostics) {
  const std::size_t before = diagnostics->errors().size();
  if (!proto.slice().empty()) {
    diagnostics->Error(field + ".slice", "is given beside a graph, expected one of the two");
  }
  if (proto.has_nodes()) {
    diagnostics->Error(field + ".nodes", "is given beside a graph, expected one of the two");
  }
  if (cluster.devices() > kMaxGraphDevices) {
    diagnostics->Error(field + ".chips",
                       absl::StrCat("makes ", cluster.devices(), " devices, expected at most ",
                                    kMaxGraphDevices, " in a graph"));
  } else if (static_cast<std::int64_t>(cluster.devices()) * (cluster.devices() + cluster.switches) >
             kMaxGraphHops) {
    diagnostics->Error(field + ".graph.switches",
                       absl::StrCat("is ", cluster.switches, " beside ", cluster.devices(),
                                    " devices, expected devices x (devices + switches) of at most ",
                                    kMaxGraphHops));
  }
  if (proto.graph().links_size() > kMaxLinks) {
    diagnostics->Error(
        field + ".graph.links",
        absl::StrCat("has ", proto.graph().links_size(), " links, expected at most ", kMaxLinks));
  }
  return diagnostics->errors().size() == before;
}

}  // namespace

void LoadGraph(const v1::Cluster& proto, const std::string& field, Diagnostics* diagnostics,
               Cluster* cluster) {
  const std::size_t before = diagnostics->errors().size();
  cluster->chips = CheckedInt(proto.chips(), 1, 1 << 20, field + ".chips", diagnostics);
  cluster->nodes.chips_per_node = cluster->chips;
  const std::string graph = field + ".graph";
  cluster->switches =
      CheckedInt(proto.graph().switches(), 0, kMaxSwitches, graph + ".switches", diagnostics);
  if (!CheckSizes(proto, *cluster, field, diagnostics)) return;
  for (int i = 0; i < proto.graph().links_size(); ++i) {
    if (diagnostics->errors().size() > before + kMaxReported) break;
    LoadLink(proto.graph().links(i), cluster->devices() + cluster->switches,
             absl::StrCat(graph, ".links[", i, "]"), diagnostics, &cluster->graph);
  }
  if (diagnostics->errors().size() == before) CheckConnected(*cluster, graph, diagnostics);
  if (diagnostics->errors().size() != before) cluster->graph.clear();
}

}  // namespace meshstep
