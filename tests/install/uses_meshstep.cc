// Prints where the data files were found, a number from one of them, and the time of a transfer.

#include <iostream>

#include "meshstep/v1/chip.pb.h"
#include "sim/base/data_path.h"
#include "sim/base/proto_file.h"
#include "sim/engine/engine.h"

int main() {
  const meshstep::StatusOr<std::string> path = meshstep::PresetPath("topologies/chips", "h100-sxm");
  if (!path.ok()) {
    std::cerr << path.status().message() << "\n";
    return 1;
  }
  meshstep::v1::Chip chip;
  if (const meshstep::Status status = meshstep::ReadDataFile(*path, &chip); !status.ok()) {
    std::cerr << status.message() << "\n";
    return 1;
  }
  meshstep::TaskGraph graph;
  const double rate = chip.datasheet().link_gbytes_per_s() * 1e9;
  const std::int32_t link = graph.AddLink(meshstep::BytesPerSecond(rate));
  const meshstep::PatternId send = graph.AddPattern({{meshstep::Time(0), {{link, rate}}, rate}});
  const meshstep::StreamId stream = graph.AddStream();
  graph.AddTransfer({&stream, 1}, send, {});
  std::cout << meshstep::DataRoot() << "\n"
            << chip.name() << "\n"
            << meshstep::RunGraph(graph)->makespan.seconds() << " s\n";
}
