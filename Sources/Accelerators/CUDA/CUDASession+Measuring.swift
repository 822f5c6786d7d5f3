import Engine
import Tensors

/// A launch of a pass, how many there are with the same kernel and shapes, and the microseconds of one, the mean of some in a row.
typealias LaunchTiming = (launch: CUDALaunch, count: Int, microseconds: Double)

extension FeatureShape {
  /// Gray images of noise, as bytes; other ones from another number on.
  func noise(_ count: Int, from first: Int = 0) -> ImageBatch {
    let images = (first..<first + count).map { index in
      ImagePixels.bytes((0..<area).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761 &+ index) >> 13) })
    }
    return ImageBatch(
      images, shape: self,
      tables: PixelTables(
        mean: [Float](repeating: 0.5, count: channels), deviation: [Float](repeating: 0.25, count: channels)))
  }
}

extension CUDADevice {
  /// How long each of `launches` takes on `stream`, those with the same kernel and shapes as one.
  fileprivate func time(
    _ launches: [CUDALaunch], on stream: borrowing CUDAStream
  ) throws(BackendError) -> [LaunchTiming] {
    try makeCurrent()
    func milliseconds(_ launch: CUDALaunch, _ repeats: Int) throws(BackendError) -> Double {
      try stream.time { stream throws(BackendError) in
        for _ in 0..<repeats { try stream.launch(launch) }
      }
    }
    var timings: [LaunchTiming] = []
    for launch in launches {
      if let known = timings.firstIndex(where: {
        $0.launch.kernel.name == launch.kernel.name && $0.launch.shapes == launch.shapes
      }) {
        timings[known].count += 1
        continue
      }
      let repeats = 20
      _ = try milliseconds(launch, 3)
      timings.append((launch, 1, try milliseconds(launch, repeats) / Double(repeats) * 1000))
    }
    return timings
  }
}

extension CUDASession {
  /// Of a pass over `count` images.
  func launchTimings(_ count: Int) throws(BackendError) -> [LaunchTiming] {
    // Leaves the maps and windows of a real pass behind.
    _ = try infer(plan.image.noise(count), keepingFeatures: false)
    return try device.time(launches(count), on: stream)
  }
}

extension CUDATraining {
  /// Of what accumulates the gradients of `count` images, where some have been accumulated before.
  func launchTimings(_ count: Int) throws(BackendError) -> [LaunchTiming] {
    try device.time(Array(launches(count).joined()), on: stream)
  }
}
