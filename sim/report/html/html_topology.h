// The links of a cluster, coloured by how busy they are over a step: a torus as planes of chips, a
// cluster of nodes as one node, its NICs and the switches above.
//
//   std::string section = LinkSection(scenario, step, run);

#ifndef MESHSTEP_SIM_REPORT_HTML_HTML_TOPOLOGY_H_
#define MESHSTEP_SIM_REPORT_HTML_HTML_TOPOLOGY_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/ids.h"
#include "sim/engine/engine.h"
#include "sim/report/html/svg.h"
#include "sim/simulate/link_usage.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"
#include "topologies/fabric.h"
#include "topologies/mesh.h"

namespace meshstep {

// Links of one kind, "nic up" of "nic up node 3 nic 1": they differ in where they are.
struct LinkKind {
  std::string name;
  std::int64_t links = 0;
  double use = 0;       // mean over links and time, of the capacity. Range [0, 1].
  double busiest = 0;   // mean over time of the busiest class
  double highest = 0;   // of that class at one instant
  int example = -1;     // that class
  double capacity = 0;  // bytes/s of one link
  double bytes = 0;     // over the step, mean of the links
};

// How busy every link of the fabric is over the step.
class FabricUse {
 public:
  FabricUse(const Scenario& scenario, const StepGraph& step, const Run& run);

  const Cluster& cluster() const { return cluster_; }
  const Fabric& fabric() const { return *fabric_; }
  // Mean over the step. Range [0, 1].
  double Use(LinkId link) const { return mean_[IndexOf(link)]; }
  // Links are drawn alike if they have the same index.
  std::size_t IndexOf(LinkId link) const;
  std::string Tip(LinkId link) const;
  // By name; all zero if there is no such kind.
  LinkKind Kind(const std::string& name) const;
  const std::vector<LinkKind>& kinds() const { return kinds_; }
  const std::vector<std::vector<LinkPoint>>& usage() const { return usage_; }

 private:
  void AddKinds();

  Cluster cluster_;
  const StepGraph& step_;
  Time makespan_;
  std::unique_ptr<Fabric> fabric_;
  std::unique_ptr<Mesh> mesh_;
  std::unique_ptr<LinkClasses> classes_;
  std::vector<std::vector<LinkPoint>> usage_;  // per link of the step
  std::vector<double> mean_;
  std::vector<LinkKind> kinds_;
};

// Lines of one colour and tip as one path, which keeps pages small.
class LinkPaths {
 public:
  // style: of the line, beside its colour. tip: of the link that is drawn.
  void Add(const FabricUse& use, LinkId link, const std::string& style, const std::string& d);
  void Draw(Svg* svg) const;

 private:
  std::map<std::pair<std::string, std::string>, std::string> paths_;
};

// A line of text beside a drawing, with the colour of what it is about.
struct UseLabel {
  double use;
  std::string head, text;
};
double LabelsHeight(std::size_t labels);
void DrawLabels(const std::vector<UseLabel>& labels, double x, double y, Svg* svg);

std::string TorusChart(const FabricUse& use, double width);
std::string NodesChart(const FabricUse& use, double width);

// Drawing, use over time and table. Empty if no link is used.
std::string LinkSection(const Scenario& scenario, const StepGraph& step, const Run& run);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_HTML_HTML_TOPOLOGY_H_
