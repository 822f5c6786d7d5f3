import ArgumentParser
import Engine
import Foundation
import Platform

/// The processes that `mpirun` has started this bench as; alone it is one.
enum BenchRanks {
  nonisolated(unsafe) private static var joined: (any Collective)?

  /// Joins them, once.
  static func join() throws -> any Collective {
    if let joined { return joined }
    let collective: any Collective =
      if let launcher = try Launcher.found() {
        try MPICollective(launcher, timeout: 120) { error in
          standardError("error: \(error)\n")
          _exit(1)
        }
      } else {
        SoleRank()
      }
    joined = collective
    return collective
  }

  /// Whether this process is the one that reports.
  static var isMain: Bool { joined.map { $0.rank == 0 } ?? true }
  static func leave() { joined?.finish() }
}

extension Settings {
  /// A step as `training` has it on `batch` images, by the first rank with as many threads as there are ranks while the others wait; and by all ranks with a thread and
  /// a part of the images each, with what `finetune` agrees on and sums.
  func ranks(batch: Int) throws -> (threads: Work, ranks: Work) {
    let collective = try joined()
    let size = collective.size
    guard batch % size == 0 else {
      throw ValidationError("\(batch) images cannot be shared out between \(size) ranks.")
    }
    func session(threads: Int, batch: Int) throws -> any Session {
      let backend = try Engine.backend(
        named: device, pool: ThreadPool(threads: threads), precision: precision, isMemoryEfficient: memoryEfficient,
        level: level)
      return try makeSession(.training, batch: batch, backend)
    }
    let alone = collective.rank == 0 ? try session(threads: size, batch: batch) : nil
    let part = try session(threads: 1, batch: batch / size)
    let (images, labels) = (noise(part.plan), Self.labels(count: batch / size))
    let whole = alone.map { (noise($0.plan), Self.labels(count: batch)) }
    let scale = 1 / Double(labels.knownCount * size)
    let subject = "\(architecture), \(imageSize)×\(imageSize), \(precision.rawValue) on \(level.title), ranks: \(size)"
    return (
      Work(unit: .imagesPerSecond(count: batch), subject: subject) {
        if let alone, let whole { try Self.step(alone, whole.0, whole.1) }
        try collective.barrier()
      },
      Work(unit: .imagesPerSecond(count: batch), subject: subject) {
        let outcome = try part.accumulateGradients(images, labels: labels, weights: nil, lossScale: scale)
        _ = try collective.sum([outcome.lossSum])
        try part.reduce(over: collective, hasImages: true)
        _ = try part.apply(Self.usualStep)
      }
    )
  }

  /// The sum over the ranks of as many numbers as the network has trained parameters.
  func ranksSum() throws -> Work {
    let collective = try joined()
    let count = try Plan(try network(), mode: .training, batchSize: 1, height: imageSize, width: imageSize).layout
      .trainedCount
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
    values.initialize(repeating: 0)
    return Work(
      unit: .milliseconds,
      subject: "\((count * MemoryLayout<Float>.size + 500_000) / 1_000_000) MB, ranks: \(collective.size)"
    ) {
      try collective.sum(values)
    }
  }

  private func joined() throws -> any Collective {
    // As many calls in each.
    let collective = try BenchRanks.join()
    if collective.size > 1, seconds > 0 { throw ValidationError("Rows of several ranks need --seconds 0.") }
    return collective
  }
}
