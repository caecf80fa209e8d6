#include "topologies/graph.h"

// GCC 12 sees uninitialized iterators in the boost::optional inside adjacency_list's edge iterator.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/base/check.h"

namespace meshstep {

std::vector<std::vector<int>> HopsToDevices(const FabricGraph& graph, int devices) {
  // Searched backwards from each device.
  using HopGraph = boost::compressed_sparse_row_graph<boost::directedS>;
  std::vector<std::pair<int, int>> ends;
  for (const FabricEdge& edge : graph.edges) {
    CHECK_NE(edge.link, kNoLink);
    ends.emplace_back(edge.to, edge.from);
  }
  const HopGraph g(boost::edges_are_unsorted_multi_pass, ends.begin(), ends.end(),
                   static_cast<std::size_t>(graph.nodes));
  std::vector<std::vector<int>> hops;
  for (int device = 0; device < devices; ++device) {
    std::vector<int> to(static_cast<std::size_t>(graph.nodes), -1);
    to[static_cast<std::size_t>(device)] = 0;
    const auto map =
        boost::make_iterator_property_map(to.begin(), boost::get(boost::vertex_index, g));
    boost::breadth_first_search(g, static_cast<std::size_t>(device),
                                boost::visitor(boost::make_bfs_visitor(
                                    boost::record_distances(map, boost::on_tree_edge()))));
    hops.push_back(std::move(to));
  }
  return hops;
}

Graph::Graph(const Fabric& fabric) : graph_(fabric.Explicit()) {
  for (const FabricEdge& edge : graph_.edges) {
    capacity_.push_back(edge.link == kNoLink ? std::numeric_limits<double>::infinity()
                                             : fabric.wire(edge.link).value());
  }
}

Cut Graph::MinCut(std::span<const DeviceId> from, std::span<const DeviceId> to) const {
  using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
  using FlowGraph = boost::adjacency_list<
      boost::vecS, boost::vecS, boost::directedS,
      boost::property<boost::vertex_index_t, long,
                      boost::property<boost::vertex_color_t, boost::default_color_type,
                                      boost::property<boost::vertex_distance_t, long,
                                                      boost::property<boost::vertex_predecessor_t,
                                                                      Traits::edge_descriptor>>>>,
      boost::property<
          boost::edge_capacity_t, double,
          boost::property<boost::edge_residual_capacity_t, double,
                          boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;
  CHECK(!from.empty() && !to.empty());
  const auto nodes = static_cast<std::size_t>(graph_.nodes);
  FlowGraph g(nodes + 2);
  auto capacity = boost::get(boost::edge_capacity, g);
  auto reverse = boost::get(boost::edge_reverse, g);
  // Larger than any cut of real links, but finite, so that the flow's arithmetic stays exact.
  double unlimited = 1;
  for (const double c : capacity_) unlimited += std::isinf(c) ? 0 : c;
  const auto add = [&](std::size_t a, std::size_t b, double c) {
    const auto forth = boost::add_edge(a, b, g).first;
    const auto back = boost::add_edge(b, a, g).first;
    capacity[forth] = std::min(c, unlimited);
    capacity[back] = 0;
    reverse[forth] = back;
    reverse[back] = forth;
  };
  for (std::size_t i = 0; i < graph_.edges.size(); ++i) {
    add(static_cast<std::size_t>(graph_.edges[i].from),
        static_cast<std::size_t>(graph_.edges[i].to), capacity_[i]);
  }
  for (const DeviceId device : from) add(nodes, static_cast<std::size_t>(device), unlimited);
  for (const DeviceId device : to) add(static_cast<std::size_t>(device), nodes + 1, unlimited);
  Cut cut;
  cut.capacity = BytesPerSecond(boost::boykov_kolmogorov_max_flow(g, nodes, nodes + 1));
  const auto side = boost::get(boost::vertex_color, g);
  const auto on_source_side = [&](int node) {
    return boost::get(side, static_cast<std::size_t>(node)) ==
           boost::color_traits<boost::default_color_type>::black();
  };
  for (const FabricEdge& edge : graph_.edges) {
    if (edge.link != kNoLink && on_source_side(edge.from) && !on_source_side(edge.to)) {
      cut.links.push_back(edge.link);
    }
  }
  std::sort(cut.links.begin(), cut.links.end());
  return cut;
}

}  // namespace meshstep
