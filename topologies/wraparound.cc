#include "topologies/wraparound.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <iterator>

#include "absl/strings/str_cat.h"

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

std::string NotOffered(const Interconnect& net, std::span<const int> slice) {
  std::int64_t chips = 1;
  for (const int extent : slice) chips *= extent;
  if (net.largest_job_chips > 0 && chips > net.largest_job_chips) {
    return absl::StrCat("has ", chips, " chips; the largest slice that is offered has ",
                        net.largest_job_chips);
  }
  const auto all = [&](auto fits) { return std::all_of(slice.begin(), slice.end(), fits); };
  const auto power = [](int e) { return std::has_single_bit(static_cast<unsigned>(e)); };
  if (net.wraparound == Interconnect::Wraparound::kWholeCubes && !AreCubes(slice) &&
      !all([&](int e) { return e <= kCube && power(e); })) {
    return "is not offered: slices have 1, 2 or 4 chips in each dimension, or multiples of 4 in "
           "all";
  }
  if (net.wraparound == Interconnect::Wraparound::kFullAxis && !all(power)) {
    return "is not offered: slices have a power of two of chips in each dimension";
  }
  return "";
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
