import Engine

/// Whether the kernels that may be chosen compute rightly on a device: all of them, before any is taken.
struct CUDACandidates {
  /// The device with another preference.
  let open: (CUDAKernelChoice.Preference) throws(BackendError) -> CUDADevice

  /// Summaries of the textbook's `expectations`, one for each number of a question's candidates. A kernel that a device ends takes the process's use of
  /// the device with it: then `isLost`, and the last summary says with which kernels.
  func compare(
    with expectations: [Conformance.Expectation]
  ) throws(BackendError) -> (summaries: [Conformance.Summary], isLost: Bool) {
    func kernels(_ device: CUDADevice) -> Set<String> {
      Set(expectations.flatMap { CUDANetwork.launches($0.plan, .bf16, device).map(\.kernel.name) })
    }
    let ruled = kernels(try open(.measured(CUDAMeasuredKernels())))
    var summaries: [Conformance.Summary] = []
    for number in 0..<CUDAKernelChoice.mostKernels {
      let title = "bf16, kernels \(number + 1) of \(CUDAKernelChoice.mostKernels)"
      let device = try open(.candidate(number))
      let others = kernels(device).subtracting(ruled).sorted()
      let told = others.isEmpty ? "with kernels that the rule takes too" : "with " + others.joined(separator: ", ")
      do {
        let found = try Conformance.summary(
          of: CUDABackend(device, device.title, .bf16), named: title, over: expectations)
        summaries.append(
          found.failures.isEmpty
            ? found
            : .init(name: title, cases: found.cases, worst: found.worst, failures: [told] + found.failures))
      } catch {
        summaries.append(.init(name: title, cases: 0, worst: .nan, failures: [told, error.diagnosis.message]))
        return (summaries, true)
      }
    }
    return (summaries, false)
  }
}

extension CUDANetwork {
  /// What a pass over a full batch launches, in a plan's mode: for what is to be known of them, since they have no memory.
  static func launches(_ plan: Plan, _ precision: Precision, _ device: CUDADevice) -> [CUDALaunch] {
    let network = CUDANetwork(plan, precision, batch: plan.batchSize, by: device.choice)
    let forward = network.forwardLaunches(device, at: 0, count: plan.batchSize, keepingFeatures: false)
    guard let gradients = network.gradients else { return forward }
    return forward + network.backwardLaunches(device, at: 0, count: plan.batchSize, gradients).joined()
  }
}
