// Fabrics, meshes and groups for the tests of sim/cost/.

#ifndef MESHSTEP_TESTS_SIM_COST_COST_FIXTURES_H_
#define MESHSTEP_TESTS_SIM_COST_COST_FIXTURES_H_

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/topologies/clusters.h"
#include "topologies/build_fabric.h"
#include "topologies/mesh.h"

namespace meshstep {

// A mesh and the fabric under it.
struct Placed {
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Mesh> mesh;

  Group GroupOf(std::vector<AxisId> axes, DeviceId device = 0) const {
    return mesh->GroupOf(axes, device);
  }
};

// `sizes` innermost first; axes are called a0, a1, ...
inline Placed Place(const Cluster& cluster, const std::vector<int>& sizes) {
  Placed placed;
  placed.fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kIdeal);
  std::vector<AxisRequest> requests;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    requests.push_back({"a" + std::to_string(i), sizes[i], ""});
  }
  auto mesh = Mesh::Place(*placed.fabric, requests);
  if (mesh.ok()) placed.mesh = std::make_unique<Mesh>(*std::move(mesh));
  return placed;
}

// All devices as one axis.
inline Placed PlaceWhole(const Cluster& cluster) { return Place(cluster, {cluster.devices()}); }

// Random factors of n, at most `most`, of which some may be 1.
inline std::vector<int> RandomFactors(int n, int most, std::mt19937* random) {
  std::vector<int> factors;
  while (static_cast<int>(factors.size()) + 1 < most) {
    std::vector<int> divisors;
    for (int d = 1; d <= n; ++d) {
      if (n % d == 0) divisors.push_back(d);
    }
    factors.push_back(divisors[(*random)() % divisors.size()]);
    n /= factors.back();
  }
  factors.push_back(n);
  return factors;
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_SIM_COST_COST_FIXTURES_H_
