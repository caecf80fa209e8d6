// Clusters as text, custom graphs among them: their fabrics, routes and what is declared alike.

#include "fuzz.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/proto_file.h"
#include "topologies/build_fabric.h"
#include "topologies/load_cluster.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace meshstep;
  v1::Cluster proto;
  const Status status =
      ParseMessage("f", fuzz::TextOf(data, size), InputFormat::kTextproto, &proto);
  fuzz::CheckStatus(status);
  if (!status.ok() || proto.preset().ends_with(".textproto") ||
      proto.chip().preset().ends_with(".textproto")) {
    return 0;
  }
  Diagnostics diagnostics;
  static const Catalog catalog;
  ResolveClusterPresets(&proto, "cluster", catalog, &diagnostics);
  const Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
  fuzz::CheckStatus(diagnostics.status());
  if (!diagnostics.ok() || cluster.devices() > 4096) return 0;
  const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kCalibrated);
  const DeviceId last = fabric->devices() - 1;
  std::vector<Hop> hops;
  for (const DeviceId device : {DeviceId{0}, last / 3, last / 2}) {
    if (device == last) continue;
    hops.clear();
    fabric->Route(device, last, &hops);
    CHECK(!hops.empty());
    for (const Hop& hop : hops) {
      CHECK(hop.link >= 0 && hop.link < fabric->links());
      CHECK(fabric->capacity(hop.link) > BytesPerSecond(0));
      CHECK(hop.fraction > 0 && hop.fraction <= 1);
      CHECK(!fabric->LinkName(hop.link).empty());
    }
    CHECK(fabric->Latency(device, last) >= Seconds(0));
  }
  return 0;
}
