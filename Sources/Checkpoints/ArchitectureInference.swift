import Engine
import Tensors

extension DenseNetArchitecture {
  /// The network whose parameters have these names and shapes, as far as names and shapes tell.
  ///
  /// Growth, blocks and stem come from a few tensors; whether all the others fit, the caller compares. Nil `classCount`: the
  /// tensors have no classifier.
  static func inferred(
    from shapes: [String: Shape], path: String
  ) throws(CheckpointError) -> (architecture: DenseNetArchitecture, hasHead: Bool) {
    func unusual(_ reason: String) -> CheckpointError { .unusualArchitecture(path: path, reason: reason) }
    guard let stem = shapes["features.conv0.weight"], stem.rank == 4 else {
      throw unusual("its first convolution is not two-dimensional")
    }
    guard let growth = shapes["features.denseblock1.denselayer1.conv2.weight"], growth.rank == 4 else {
      throw unusual("it has no features.denseblock1.denselayer1.conv2")
    }
    var layers: [Int: Int] = [:]
    for name in shapes.keys {
      let parts = name.split(separator: ".")
      guard parts.count > 3, parts[1].hasPrefix("denseblock"), parts[2].hasPrefix("denselayer"),
        let block = Int(parts[1].dropFirst("denseblock".count)), let layer = Int(parts[2].dropFirst("denselayer".count))
      else { continue }
      layers[block] = max(layers[block] ?? 0, layer)
    }
    let blockSizes = (1...max(1, layers.count)).map { layers[$0] ?? 0 }
    let head = shapes["classifier.weight"]
    let classCount = head?.extents.first ?? 1
    guard
      DenseNetLimits.contain(
        growthRate: growth[0], blockSizes: blockSizes, stem: stem[0], channels: 3, classes: classCount)
    else { throw unusual("growth \(growth[0]), blocks \(blockSizes), stem \(stem[0]), \(classCount) classes") }
    guard stem[1] == 1 || stem[1] == 3 else { throw .unsupportedChannels(path: path, channels: stem[1]) }
    return (
      DenseNetArchitecture(
        growthRate: growth[0], blockSizes: blockSizes, initialFeatures: stem[0], inputChannels: stem[1],
        classCount: classCount), head != nil
    )
  }
}
