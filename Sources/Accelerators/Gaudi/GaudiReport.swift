import Engine
import Platform

/// What `doctor` finds out about a Gaudi, or, without one, about what its graph compiler takes.
public struct GaudiReport: Sendable {
  public struct Device: Sendable {
    /// `gaudi:0 (Gaudi 2)`.
    public let title: String
    /// As Synapse calls it.
    public let name: String
    /// Bytes.
    public let memory: Int
    public let freeMemory: Int
  }

  /// Whether something was taken or was right.
  public struct Finding: Sendable {
    public let name: String
    /// What is wrong; empty where nothing is.
    public let failures: [String]
  }

  /// `1.19.0.561`: Synapse's.
  public let release: String
  public let library: String
  public let hasHCCL: Bool
  /// nil where nothing was run.
  public let device: Device?
  /// Of each generation that was compiled for: its nodes, then whole networks.
  public let compiled: [(generation: String, findings: [Finding])]
  /// Of each kind of node: how its results differ from the definition.
  public let nodes: [Finding]
  /// Of each precision.
  public let conformance: [Conformance.Summary]
  /// Images/s of inference; empty where nothing was measured.
  public let inference: [(precision: Precision, imagesPerSecond: Double)]
  /// Whether times mean anything: not where the tests' stand-in is Synapse.
  public let isMeasurable: Bool

  public var conforms: Bool {
    compiled.allSatisfy { $0.findings.allSatisfy(\.failures.isEmpty) } && nodes.allSatisfy(\.failures.isEmpty)
      && conformance.allSatisfy(\.failures.isEmpty)
  }

  /// `compileOnly`: needs no card. `generations`: `gaudi2` and `gaudi3` where there is no card to compile for.
  ///
  /// `progress` is told what is done next, and how many of how many steps are.
  public init(
    _ name: String, pool: ThreadPool, compileOnly: Bool, measures: Bool, progress: (Int, Int, String) -> Void
  ) throws(BackendError) {
    let device = compileOnly ? nil : try GaudiDevice(named: name)
    let synapse: Synapse
    if let device { synapse = device.synapse } else { synapse = try Synapse(name) }
    isMeasurable = !synapse.functions.library.has("gaudi_stub_rules")
    let measures = measures && isMeasurable && device != nil
    release = synapse.release
    library = synapse.functions.library.name
    hasHCCL = (try? HCCLFunctions(synapse.functions.library)) != nil
    let generations = device.map { [$0.generation] } ?? [.gaudi2, .gaudi3]
    let steps = generations.count + (device == nil ? 0 : 1 + Precision.allCases.count * (measures ? 2 : 1))
    var compiled: [(generation: String, findings: [Finding])] = []
    for generation in generations {
      progress(compiled.count, steps, "compiling for \(generation.title)")
      compiled.append((generation.title, try Self.compile(synapse, generation)))
    }
    self.compiled = compiled
    guard let device else {
      (self.device, nodes, conformance, inference) = (nil, [], [], [])
      return
    }
    let memory = try device.memory()
    self.device = Device(title: device.title, name: device.name, memory: memory.total, freeMemory: memory.free)
    progress(1, steps, "comparing nodes with their definitions")
    var nodes: [Finding] = []
    for trial in GaudiNodeTrials.all() {
      nodes.append(Finding(name: trial.name, failures: try trial.findings(on: device)))
    }
    self.nodes = nodes
    var (conformance, inference) = ([Conformance.Summary](), [(precision: Precision, imagesPerSecond: Double)]())
    // Where gates are not decided, another order of sums can open one more: that says nothing of a card.
    let expectations = try Conformance.quickExpectations(pool: pool) { $0.mode == .inference || $0.hasDecidedGates }
    for precision in Precision.allCases {
      progress(2 + conformance.count, steps, "comparing \(precision.rawValue) with the textbook")
      conformance.append(
        try Conformance.summary(
          of: GaudiBackend(device, name, precision, recipes: nil), named: "\(precision.rawValue) on \(device.title)",
          over: expectations))
    }
    for precision in Precision.allCases where measures {
      progress(2 + Precision.allCases.count + inference.count, steps, "measuring \(precision.rawValue)")
      let backend = GaudiBackend(device, name, precision, recipes: nil)
      inference.append((precision, try Conformance.inferenceSpeed(backend, batch: 64)))
    }
    (self.conformance, self.inference) = (conformance, inference)
  }

  /// Every node by itself, an optimizer's steps, and DenseNet-121 forward and back.
  private static func compile(
    _ synapse: Synapse, _ generation: GaudiGeneration
  ) throws(BackendError) -> [Finding] {
    var findings: [Finding] = []
    func compile(_ name: String, _ graph: GaudiGraph) throws(BackendError) {
      do throws(BackendError) {
        let recipe = try GaudiRecipe(graph, synapse, generation, device: generation.title)
        _ = recipe.workspaceBytes
        findings.append(Finding(name: name, failures: []))
      } catch .device(.gaudi(.notCompiled(let what, let device, let code, let error, let release))) {
        let fault = GaudiFault.notCompiled(what, device: device, code: code, error: error, release: release)
        findings.append(Finding(name: name, failures: [BackendError.device(.gaudi(fault)).diagnosis.message]))
      }
    }
    for trial in GaudiNodeTrials.all() { try compile(trial.name, trial.graph) }
    let rows = GaudiLayout.row * GaudiLayout.rowsOfSums
    try compile("sum of gradients", GaudiUpdate.accumulation(count: rows))
    try compile("gradient's norm", GaudiUpdate.squares(count: rows))
    for (name, kind) in [
      ("SGD", GaudiUpdate.Kind.sgd), ("SGD, Nesterov", .nesterov), ("Adam", .adam), ("AdamW", .adamW),
    ] {
      try compile(name, GaudiUpdate.step(kind, count: rows))
    }
    for precision in Precision.allCases {
      let batch = 16
      let architecture = DenseNetArchitecture(
        growthRate: 32, blockSizes: [6, 12, 24, 16], initialFeatures: 64, classCount: 14)
      for mode in [Plan.Mode.inference, .training] {
        let plan = try Plan(architecture, mode: mode, batchSize: batch, height: 224, width: 224)
        let layout = GaudiLayout(plan.layout)
        let graph =
          mode == .inference
          ? GaudiLowering.inference(plan, layout, count: batch, precision, .gray, keepingFeatures: true)
          : GaudiLowering.training(plan, layout, count: batch, precision, .gray)
        try compile("DenseNet-121, \(mode), \(precision.rawValue) (\(graph.nodes.count) nodes)", graph)
      }
    }
    return findings
  }
}
