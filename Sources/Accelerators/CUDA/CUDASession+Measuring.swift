import Engine
import Tensors

/// What only measuring asks of a session.
extension CUDASession {
  /// Gray images of noise, as bytes.
  func noise(_ count: Int) -> ImageBatch {
    let images = (0..<count).map { index in
      ImagePixels.bytes((0..<plan.image.area).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761 &+ index) >> 13) })
    }
    let channels = plan.image.channels
    return ImageBatch(
      images, shape: plan.image,
      tables: PixelTables(
        mean: [Float](repeating: 0.5, count: channels), deviation: [Float](repeating: 0.25, count: channels)))
  }

  /// How long each launch of a pass over `count` images takes, those with the same kernel and shapes as one: a launch, how many there are of
  /// it, and its microseconds, the mean of some in a row.
  func launchTimings(
    _ count: Int
  ) throws(BackendError) -> [(launch: CUDALaunch, count: Int, microseconds: Double)] {
    // Leaves the maps and windows of a real pass behind.
    _ = try infer(noise(count), keepingFeatures: false)
    var timings: [(launch: CUDALaunch, count: Int, microseconds: Double)] = []
    for launch in launches(count) {
      if let known = timings.firstIndex(where: {
        $0.launch.kernel.name == launch.kernel.name && $0.launch.shapes == launch.shapes
      }) {
        timings[known].count += 1
        continue
      }
      let repeats = 20
      _ = try time(launch, repeats: 3)
      timings.append((launch, 1, try time(launch, repeats: repeats) / Double(repeats) * 1000))
    }
    return timings
  }
}
