import Engine
import Foundation

/// What a GPU can do at the most, by the driver's clocks and NVIDIA's architecture papers.
struct CUDAPeak {
  /// Bytes/s of the memory.
  let bandwidth: Double
  /// Multiply-adds/s: of the matrix units with fp32 sums for bf16, of the fp32 units for fp32.
  let multiplyAdds: Double

  /// nil where the driver does not know its clocks.
  init?(_ device: CUDADevice, _ precision: Precision) {
    guard let memoryClock = device.attribute(CUDAConstant.memoryClockRate),
      let bits = device.attribute(CUDAConstant.memoryBusWidth), let clock = device.attribute(CUDAConstant.clockRate),
      memoryClock > 0, bits > 0, clock > 0
    else { return nil }
    // Clocks are in kHz; the memory moves its width twice a cycle.
    bandwidth = 2 * Double(memoryClock) * 1000 * Double(bits) / 8
    multiplyAdds = Double(Self.perCycle(device, precision)) * Double(device.multiprocessors) * Double(clock) * 1000
  }

  /// Of a multiprocessor. NVIDIA's papers on the A100, GA102, Ada, H100, Blackwell and RTX Blackwell architectures: dense bf16 products with fp32
  /// sums at the full rate of the professional cards, of which some others have a half.
  private static func perCycle(_ device: CUDADevice, _ precision: Precision) -> Int {
    switch (precision, device.capability.major, device.capability.minor) {
    case (.fp32, 8, 0): 64
    case (.fp32, _, _): 128
    case (.bf16, 8, 0): 1024
    case (.bf16, 9, _): 2048
    case (.bf16, 10, _), (.bf16, 11, _): 4096
    case (.bf16, _, _): 512
    }
  }
}

/// How long a kernel takes on a device, and how long it must take.
public struct KernelTiming: Sendable {
  /// Of the fatbin.
  public let kernel: String
  /// `64→128 at 256×56×56`.
  public let shapes: String
  /// Launches of this kernel with these shapes in a pass.
  public let launches: Int
  public let microseconds: Double
  /// The time of its bytes at the memory's full speed or of its arithmetic at the units', whichever is longer; nil where the driver does not know its
  /// clocks.
  public let floorMicroseconds: Double?
  /// Whether arithmetic is what is longer.
  public let isBoundByArithmetic: Bool
}

/// What several kernels can do, and how long they take.
public struct KernelQuestion: Sendable {
  /// `growth gradients`.
  public let operation: String
  /// `128→32 at width 56, 802816 pixels`: lanes.
  public let shapes: String
  /// Of some that do it alone, or together: as `a + b`, with fewer parts as `a, parts / 2`.
  public let candidates: [(name: String, microseconds: Double)]
  /// Of the candidates.
  public let fastest: Int
  /// Which of them is taken where nothing was measured.
  public let rule: Int

  init(_ answer: CUDAMeasuredKernels.Answer, _ rule: CUDAKernelChoice.Candidate.Name) {
    let question = answer.question
    operation = question.operation.rawValue + (question.normalises ? ", normalised" : "")
    shapes =
      "\(question.inputLanes)→\(question.outputLanes)" + (question.width > 0 ? " at width \(question.width)" : "")
      + ", \(question.pixels) pixels"
    candidates = answer.timings.map {
      (
        $0.name.kernels.joined(separator: " + ") + ($0.name.share > 1 ? ", parts / \($0.name.share)" : ""),
        $0.microseconds
      )
    }
    fastest = answer.timings.firstIndex { $0.name == answer.fastest } ?? 0
    self.rule = answer.timings.firstIndex { $0.name == rule } ?? 0
  }
}

/// How fast inference is: medians.
public struct InferenceTiming: Sendable {
  public let precision: Precision
  public let batch: Int
  /// Of a batch that is on the device.
  public let milliseconds: Double
  /// Of a batch of gray bytes that is sent, and whose logits are brought back.
  public let millisecondsWithTransfers: Double

  public var imagesPerSecond: Double { Double(batch) / milliseconds * 1000 }
  public var imagesPerSecondWithTransfers: Double { Double(batch) / millisecondsWithTransfers * 1000 }
}

/// How fast training is, by Adam: medians.
public struct TrainingTiming: Sendable {
  public let precision: Precision
  public let batch: Int
  /// From the call of a step to its loss and its update, the next batch of gray bytes being sent meanwhile.
  public let milliseconds: Double
  /// That the session holds on the device.
  public let bytes: Int

  public var imagesPerSecond: Double { Double(batch) / milliseconds * 1000 }
}

extension CUDABackend {
  /// DenseNet-121 with 14 classes.
  static func plan(_ mode: Plan.Mode = .inference, batch: Int) throws(BackendError) -> Plan {
    let architecture = DenseNetArchitecture(
      growthRate: 32, blockSizes: [6, 12, 24, 16], initialFeatures: 64, classCount: 14)
    return try Plan(architecture, mode: mode, batchSize: batch, height: 224, width: 224)
  }

  /// The kernels of a pass of DenseNet-121 over `batch` images of 224×224, by the order in which they come first.
  public func kernelTimings(batch: Int) throws(BackendError) -> [KernelTiming] {
    let session = try CUDASession(try Self.plan(batch: batch), precision, device)
    try session.load(Weights(initializing: session.plan.architecture, seed: 1))
    return try kernelTimings(of: session.launchTimings(batch))
  }

  private func kernelTimings(of timings: [LaunchTiming]) -> [KernelTiming] {
    let peak = CUDAPeak(device, precision)
    return timings.map { timing in
      let bytes = peak.map { timing.launch.cost.bytes / $0.bandwidth * 1e6 }
      let arithmetic = peak.map { timing.launch.cost.multiplyAdds / $0.multiplyAdds * 1e6 }
      return KernelTiming(
        kernel: timing.launch.kernel.name, shapes: timing.launch.shapes, launches: timing.count,
        microseconds: timing.microseconds, floorMicroseconds: bytes.map { max($0, arithmetic ?? 0) },
        isBoundByArithmetic: (arithmetic ?? 0) > (bytes ?? 0))
    }
  }

  /// Inference by DenseNet-121 on `batch` gray images of 224×224, as bytes.
  public func inferenceTiming(batch: Int) throws(BackendError) -> InferenceTiming {
    let session = try CUDASession(try Self.plan(batch: batch), precision, device)
    try session.load(Weights(initializing: session.plan.architecture, seed: 1))
    let images = session.plan.image.noise(batch)
    let clock = ContinuousClock()
    let whole = try Self.median { () throws(BackendError) in
      let start = clock.now
      _ = try session.infer(images, keepingFeatures: false)
      return (clock.now - start) / .milliseconds(1)
    }
    let pass = try Self.median { () throws(BackendError) in try session.timePass(batch) }
    return InferenceTiming(
      precision: precision, batch: batch, milliseconds: pass, millisecondsWithTransfers: whole)
  }

  /// Training of DenseNet-121 on `batch` gray images of 224×224, as bytes, and its kernels, by the order in which they come first.
  public func trainingTiming(batch: Int) throws(BackendError) -> (timing: TrainingTiming, kernels: [KernelTiming]) {
    let session = try CUDATraining(try Self.plan(.training, batch: batch), precision, device)
    try session.load(Weights(initializing: session.plan.architecture, seed: 1))
    // In turn, as different batches of an epoch.
    let batches = [session.plan.image.noise(batch), session.plan.image.noise(batch, from: 1)]
    let labels = LabelBatch((0..<batch * 14).map { $0 % 9 == 0 ? .positive : .negative })
    let step = OptimizerStep(optimizer: .adam, learningRate: 1e-4, weightDecay: 1e-5)
    let (clock, stage) = (ContinuousClock(), session.stage)
    var number = 0
    let median = try Self.median { () throws(BackendError) in
      let start = clock.now
      let next = batches[(number + 1) % 2]
      Thread.detachNewThread { stage?.bring(next) }
      _ = try session.accumulateGradients(
        batches[number % 2], labels: labels, weights: nil, lossScale: 1 / Double(batch * 14))
      _ = try session.apply(step)
      number += 1
      return (clock.now - start) / .milliseconds(1)
    }
    let timing = TrainingTiming(
      precision: precision, batch: batch, milliseconds: median, bytes: session.memoryBytes ?? 0)
    return (timing, kernelTimings(of: try session.launchTimings(batch)))
  }

  /// Of what `measure` says, in milliseconds, at least twenty times and for half a second, after two times to warm up (the first of which takes a
  /// graph down).
  private static func median(_ measure: () throws(BackendError) -> Double) throws(BackendError) -> Double {
    for _ in 0..<2 { _ = try measure() }
    var (times, total) = ([Double](), 0.0)
    while times.count < 20 || (times.count < 1000 && total < 500) {
      times.append(try measure())
      total += times[times.count - 1]
    }
    return times.sorted()[times.count / 2]
  }
}
