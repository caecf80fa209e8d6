#include "topologies/wraparound.h"

#include <algorithm>

namespace meshstep {
namespace {

// Edge of the cubes that optical switches join.
constexpr int kCube = 4;

bool AreCubes(std::span<const int> extents) {
  return std::all_of(extents.begin(), extents.end(), [](int e) { return e % kCube == 0; });
}

}  // namespace

std::vector<bool> WrapsOf(const Interconnect& net, std::span<const int> slice) {
  const bool whole_cubes = static_cast<int>(slice.size()) == net.dimensions && AreCubes(slice);
  std::vector<bool> wraps;
  for (const int extent : slice) {
    switch (net.wraparound) {
      case Interconnect::Wraparound::kNever:
        wraps.push_back(false);
        break;
      case Interconnect::Wraparound::kFullAxis:
        wraps.push_back(extent == net.full_axis && extent > 2);
        break;
      case Interconnect::Wraparound::kWholeCubes:
        wraps.push_back(whole_cubes);
        break;
      case Interconnect::Wraparound::kAlways:
        wraps.push_back(extent > 2);
        break;
    }
  }
  return wraps;
}

std::vector<int> SliceOfMesh(const Interconnect& net, std::span<const int> sizes) {
  std::vector<int> slice(sizes.begin(), sizes.end());
  std::vector<int> named;
  std::copy_if(sizes.begin(), sizes.end(), std::back_inserter(named), [](int e) { return e > 1; });
  const bool cubes = net.wraparound == Interconnect::Wraparound::kWholeCubes && AreCubes(named);
  // A size of 1 stands for a dimension that is not named.
  for (int& extent : slice) extent = extent == 1 && cubes ? kCube : extent;
  while (static_cast<int>(slice.size()) < net.dimensions) slice.push_back(cubes ? kCube : 1);
  return slice;
}

}  // namespace meshstep
