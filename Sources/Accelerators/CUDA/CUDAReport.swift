import Engine
import Foundation
import Platform

/// What `doctor` finds out about a GPU: what it is, whether it computes rightly, and how fast.
public struct CUDAReport: Sendable {
  /// What the driver says.
  public struct Device: Sendable {
    /// `cuda:0 (NVIDIA H200)`.
    public let title: String
    /// `9.0`.
    public let capability: String
    public let multiprocessors: Int
    /// Bytes.
    public let memory: Int
    public let freeMemory: Int
    /// `13.0`: the version of CUDA that the driver speaks.
    public let driver: String
    /// The driver's library, as the loader found it.
    public let library: String
    /// NCCL's version, as `2.28.3`, and library; nil where there is none, which one GPU does without.
    public let nccl: (version: String, library: String)?
  }

  public let device: Device
  /// Of the instructions that the kernels are made of: the name, and how results differ from the definition.
  public let primitives: [(name: String, failures: [String])]
  /// Of each precision.
  public let conformance: [Conformance.Summary]
  /// Where several kernels can do something: how long each takes, by what it is. What is the fastest is kept, and taken from then on.
  public let choices: [KernelQuestion]
  /// The file that it is kept in, and why it could not be, if it could not; nil where nothing was measured.
  public let kept: (path: String, failure: String?)?
  /// Of a bf16 pass over `kernelBatch` images; empty where nothing was measured.
  public let kernels: [KernelTiming]
  /// Of a bf16 step of training.
  public let trainingKernels: [KernelTiming]
  public let training: [TrainingTiming]
  public let kernelBatch: Int
  public let inference: [InferenceTiming]

  public let conforms: Bool

  /// Whether times mean anything: not where the kernels run in the tests' emulator.
  public let isMeasurable: Bool

  /// Batches that inference is measured with; and training.
  public static let batches = [256, 32, 1]
  public static let trainingBatches = [256, 32]

  /// `name`: as `--device` takes it. `measures`: also how fast it is. `keepsKernels`: those that an earlier report has chosen, if one has. `progress` is told
  /// what is done next, and how many of how many steps are.
  public init(
    _ name: String, pool: ThreadPool, measures: Bool, keepsKernels: Bool = false, progress: (Int, Int, String) -> Void
  ) throws(BackendError) {
    var device = try CUDADevice(named: name)
    let memory = try device.memory()
    self.device = Device(
      title: device.title, capability: "\(device.capability.major).\(device.capability.minor)",
      multiprocessors: device.multiprocessors, memory: memory.total, freeMemory: memory.free,
      driver: CUDADevice.text(version: device.driverVersion), library: device.functions.library.name,
      nccl: (try? NCCLFunctions()).map { (NCCLFunctions.text(version: $0.version), $0.library) })
    isMeasurable = device.functions.announce == nil
    let measures = measures && isMeasurable
    let steps = 1 + (measures ? 1 : 0) + Precision.allCases.count * (measures ? 3 : 1)
    progress(0, steps, "comparing instructions with their definitions")
    primitives = try CUDAPrimitives.findings(on: device)

    var conformance: [Conformance.Summary] = []
    // Where gates are not decided, another order of sums can open one more: that says nothing of a card.
    let expectations = try Conformance.quickExpectations(pool: pool) { $0.mode == .inference || $0.hasDecidedGates }
    for (index, precision) in Precision.allCases.enumerated() {
      progress(1 + index, steps, "comparing \(precision.rawValue) with the textbook")
      conformance.append(
        try Conformance.summary(
          of: CUDABackend(device, name, precision), named: "\(precision.rawValue) on \(device.title)",
          over: expectations))
    }
    // Whichever is the fastest: before it is taken.
    var answers = true
    if measures && !keepsKernels {
      let candidates = try CUDACandidates { preference throws(BackendError) in
        try CUDADevice(named: name, preference: preference)
      }.compare(with: expectations)
      conformance += candidates.summaries
      answers = !candidates.isLost
    }
    let isMeasured = measures && answers
    self.conformance = conformance

    conforms = primitives.allSatisfy(\.failures.isEmpty) && conformance.allSatisfy(\.failures.isEmpty)
    if measures && conforms {
      var measured = CUDAMeasuredKernels.load(from: CUDAMeasuredKernels.path(device.kept))
      var kept: (path: String, failure: String?) = (CUDAMeasuredKernels.path(device.kept), nil)
      if !keepsKernels {
        progress(1 + Precision.allCases.count, steps, "choosing the fastest of the kernels that do the same")
        measured = try Self.chooseKernels(name)
        kept = measured.keep(for: device)
      }
      let rule = CUDAKernelChoice(device.choice, preference: .measured(CUDAMeasuredKernels()))
      choices = measured.answers.map { KernelQuestion($0, rule.answer($0.question, .bf16)) }
      self.kept = kept
      device = try CUDADevice(named: name, preference: .measured(measured))
    } else {
      (choices, kept) = ([], nil)
    }

    var (kernels, inference, kernelBatch) = ([KernelTiming](), [InferenceTiming](), 0)
    for (index, precision) in Precision.allCases.enumerated() where isMeasured {
      progress(2 + Precision.allCases.count + index, steps, "measuring \(precision.rawValue)")
      let backend = CUDABackend(device, name, precision)
      for batch in Self.batches {
        do {
          inference.append(try backend.inferenceTiming(batch: batch))
          if precision == .bf16 && kernels.isEmpty {
            (kernels, kernelBatch) = (try backend.kernelTimings(batch: batch), batch)
          }
        } catch .device(.outOfMemory) {
          // A card that has no memory for this batch has it for the next.
          continue
        }
      }
    }
    (self.kernels, self.inference, self.kernelBatch) = (kernels, inference, kernelBatch)
    (trainingKernels, training) = try Self.measureTraining(isMeasured ? device : nil, name) { done, precision in
      progress(steps - Precision.allCases.count + done, steps, "measuring training in \(precision.rawValue)")
    }
  }

  private static func chooseKernels(_ name: String) throws(BackendError) -> CUDAMeasuredKernels {
    let plans =
      try trainingBatches.map { batch throws(BackendError) in try CUDABackend.plan(.training, batch: batch) }
      + batches.map { batch throws(BackendError) in try CUDABackend.plan(batch: batch) }
    return try CUDAKernelTrials(precision: .bf16) { preference throws(BackendError) in
      try CUDADevice(named: name, preference: preference)
    }.measure(plans, date: Date().ISO8601Format())
  }

  private static func measureTraining(
    _ device: CUDADevice?, _ name: String, _ progress: (Int, Precision) -> Void
  ) throws(BackendError) -> ([KernelTiming], [TrainingTiming]) {
    var (kernels, training) = ([KernelTiming](), [TrainingTiming]())
    guard let device else { return (kernels, training) }
    for (index, precision) in Precision.allCases.enumerated() {
      progress(index, precision)
      for batch in trainingBatches {
        do {
          let found = try CUDABackend(device, name, precision).trainingTiming(batch: batch)
          training.append(found.timing)
          if precision == .bf16 && kernels.isEmpty { kernels = found.kernels }
        } catch .device(.outOfMemory) {
          continue
        }
      }
    }
    return (kernels, training)
  }
}
