import Engine
import Platform
import Tensors
import TestSupport
import Testing

@testable import Accelerators

/// A network of a few layers, with weights and images.
private func smallNetwork(batchSize: Int = 2) throws -> (Plan, Weights, ImageBatch) {
  let architecture = DenseNetArchitecture(
    growthRate: 4, blockSizes: [1, 2], initialFeatures: 8, inputChannels: 1, classCount: 3)
  let plan = try Plan(architecture, mode: .inference, batchSize: batchSize, height: 32, width: 36)
  let images = ImageBatch(
    count: 2, shape: plan.image, pixels: (0..<2 * plan.image.count).map { Float($0 % 17) / 8 - 1 })
  return (plan, Weights(initializing: architecture, seed: 1), images)
}

extension Emulated {
  @Suite struct CUDADeviceTests {
    @Test(arguments: ["cuda:", "cuda:x", "cuda:-1", "cuda:1.5", "cuda:99999999999"])
    func `what names no device is refused before any library is opened`(name: String) {
      #expect(throws: BackendError.device(.badName(name))) {
        try CUDADevice(named: name, library: "/nowhere/libcuda.so.1")
      }
    }

    @Test func `no driver is told with what to do`() {
      let error = #expect(throws: BackendError.self) {
        try CUDADevice(named: "cuda", library: "/nowhere/libcuda.so.1")
      }
      #expect(error?.diagnosis.exit == .unavailable)
      #expect(error?.diagnosis.message.contains("/nowhere/libcuda.so.1") == true)
      #expect(error?.diagnosis.hint?.contains("CHEXNET_CUDA") == true)
    }

    @Test func `a device that is not there is told with how many there are`() throws {
      _ = try emulatedDevice()
      #expect(throws: BackendError.device(.noSuchDevice("cuda:4", count: 1, visible: nil))) {
        try CUDADevice(named: "cuda:4", library: builtCUDAEmulator)
      }
    }

    /// Swift and the kernels have the same structs, by two compilers.
    @Test func `a kernel takes as many bytes as it is told`() throws {
      let (_, device) = try emulatedDevice()
      let parameterInfo:
        @convention(c) (CUDAHandle?, Int, UnsafeMutablePointer<Int>, UnsafeMutablePointer<Int>) -> CInt =
          try device.functions.library.symbol("cuFuncGetParamInfo")
      for kernel in device.kernels.values {
        var (offset, size) = (0, 0)
        try device.check("cuFuncGetParamInfo", parameterInfo(kernel.function, 0, &offset, &size))
        #expect(size == kernel.parameterBytes, "\(kernel.name)")
      }
    }

    /// Where each call is made is known from its failure: the call, the code, the device and what it was for.
    @Test(arguments: [
      ("cuInit", 999, ""), ("cuDeviceGetName", 101, ""), ("cuDevicePrimaryCtxRetain", 2, ""),
      ("cuModuleLoadData", 209, "the kernels that come with chexnet"), ("cuModuleGetFunction", 500, "pointwise"),
    ])
    func `a driver's refusal at the start names the call`(call: String, code: Int32, operation: String) throws {
      let (emulator, _) = try emulatedDevice()
      emulator.reset()
      emulator.fail(call, code)
      let error = #expect(throws: BackendError.self) {
        try CUDADevice(named: "cuda", library: builtCUDAEmulator)
      }
      let message = try #require(error?.diagnosis.message)
      #expect(message.hasPrefix(call + " failed on cuda"), "\(message)")
      #expect(message.contains("(\(code))") && (operation.isEmpty || message.contains(operation)), "\(message)")
    }

    @Test(arguments: [
      ("cuLaunchKernel", 701, "conv1 (8→16 at 2×8×9) by pointwise_32_normalised_bf16"), ("cuGraphInstantiate", 1, ""),
      ("cuGraphLaunch", 719, ""), ("cuMemcpyHtoDAsync", 1, "bytes"),
      ("cuStreamSynchronize", 700, "inference of 4:1,2 on 2 images of 1×32×36, bf16"),
    ])
    func `a refusal in a pass names the call, the operation and its shapes`(
      call: String, code: Int32, operation: String
    ) throws {
      let (emulator, device) = try emulatedDevice()
      let (plan, weights, images) = try smallNetwork()
      let session = try CUDASession(plan, .bf16, device)
      try session.load(weights)
      // The third launch of a pass: behind the stem and its pool.
      emulator.fail(
        call == "cuGraphInstantiate" ? "cuGraphInstantiateWithFlags" : call, code,
        after: call == "cuLaunchKernel" ? 3 : 1)
      let error = #expect(throws: BackendError.self) { try session.infer(images, keepingFeatures: false) }
      let message = try #require(error?.diagnosis.message)
      #expect(message.contains(call) && message.contains("cuda:0") && message.contains("(\(code))"), "\(message)")
      #expect(operation.isEmpty || message.contains(operation), "\(message)")
      // What was half taken down is gone: the next pass is whole.
      if code == 701 { #expect(try session.infer(images, keepingFeatures: false).logits.count == 6) }
    }

    @Test func `what a session held is given back`() throws {
      let emulator = try Emulator.shared.get()
      do {
        let (_, device) = try emulatedDevice()
        let (plan, weights, images) = try smallNetwork()
        for _ in 0..<2 {
          let session = try CUDASession(plan, .fp32, device)
          try session.load(weights)
          _ = try session.infer(images, keepingFeatures: true)
        }
        #expect(emulator.live.count < 3, "\(emulator.live)")
      }
      #expect(emulator.live == [])
    }

    @Test func `every launch of a pass is timed, those of the same shapes as one, and the pass`() throws {
      let (emulator, device) = try emulatedDevice()
      let (plan, weights, _) = try smallNetwork()
      let session = try CUDASession(plan, .bf16, device)
      try session.load(weights)
      let timings = try session.launchTimings(2)
      let (launches, shapes) = (timings.map(\.count), timings.map { $0.launch.kernel.name + $0.launch.shapes })
      // The stem and its pool, three layers of two, a transition of two, the head and the classifier.
      #expect(launches.reduce(0, +) == 12)
      #expect(Set(shapes).count == timings.count)
      for timing in timings { #expect(timing.microseconds > 0 && timing.launch.cost.bytes > 0) }
      // Of the convolutions: 7×7 on 16×18, then 1×1 and 3×3 on 8×9 and twice on 4×4, with 8, 6 and 10 channels, and the transition's.
      var expected = 16 * 18 * 49 * 8 + 4 * 4 * 12 * 6
      for (channels, area) in [(8, 72), (6, 16), (10, 16)] { expected += area * (channels * 16 + 9 * 16 * 4) }
      var products = 0.0
      for timing in timings { products += Double(timing.count) * timing.launch.cost.multiplyAdds }
      #expect(products == Double(2 * expected))
      #expect(try session.timePass(2) > 0)
      #expect(emulator.violation == "")
    }

    /// Each product of the pass forward has two on the way back, but for the stem's, whose images want no gradient.
    @Test(arguments: Precision.allCases) func `every launch of a step of training is timed, with what it must do`(
      precision: Precision
    ) throws {
      let (emulator, device) = try emulatedDevice()
      let (inference, weights, _) = try smallNetwork()
      let (shape, count) = (inference.image, 2)
      let plan = try Plan(
        inference.architecture, mode: .training, batchSize: count, height: shape.height, width: shape.width)
      let session = try CUDATraining(plan, precision, device)
      try session.load(weights)
      let labels = LabelBatch((0..<count * plan.architecture.classCount).map { $0 % 2 == 0 ? .positive : .negative })
      _ = try session.accumulateGradients(plan.image.noise(count), labels: labels, weights: nil, lossScale: 1)
      let timings = try session.launchTimings(count)
      func products(_ isWanted: (LaunchTiming) -> Bool) -> Double {
        timings.filter(isWanted).reduce(0) { $0 + Double($1.count) * $1.launch.cost.multiplyAdds }
      }
      let back = products { $0.launch.kernel.name.contains("gradient") }
      let stem = products { $0.launch.kernel.name.hasPrefix("stem_\(precision.rawValue)") }
      let forward = products { !$0.launch.kernel.name.contains("gradient") }
      #expect(stem > 0 && back == 2 * (forward - stem) + stem)
      for timing in timings {
        #expect(timing.microseconds > 0)
        let isOfMaps =
          timing.launch.kernel.name.hasSuffix(precision.rawValue) && !timing.launch.kernel.name.hasPrefix("pack")
        #expect(!isOfMaps || timing.launch.cost.bytes > 0, "\(timing.launch)")
      }
      #expect(emulator.violation == "")
    }

    @Test func `too little memory is told with the batch that would fit`() throws {
      let (_, device) = try emulatedDevice()
      let total = try device.memory().total
      let architecture = try #require(DenseNetArchitecture(parsing: "densenet121", classCount: 14))
      let plan = try Plan(architecture, mode: .inference, batchSize: 4096, height: 224, width: 224)
      let error = #expect(throws: BackendError.self) { try CUDASession(plan, .bf16, device) }
      guard case .device(.outOfMemory(_, let wanted, let free, let all, let batch, let fitting)) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(all == total && batch == 4096)
      #expect(wanted > free && fitting > 0)
      #expect(CUDANetwork(plan, .bf16, batch: fitting, by: device.choice).memory.size <= free)
      #expect(CUDANetwork(plan, .bf16, batch: fitting + 1, by: device.choice).memory.size > free)
      #expect(error?.diagnosis.exit == .outOfMemory)
      #expect(error?.diagnosis.hint == "--batch-size \(fitting) would fit")
    }

    /// Bytes become what the tables say on the device: the same as if the processor had made the values.
    @Test(arguments: [1, 3], Precision.allCases)
    func `bytes are the values that they stand for`(channels: Int, precision: Precision) throws {
      let (emulator, device) = try emulatedDevice()
      let architecture = DenseNetArchitecture(
        growthRate: 4, blockSizes: [1], initialFeatures: 8, inputChannels: channels, classCount: 2)
      let plan = try Plan(architecture, mode: .inference, batchSize: 5, height: 21, width: 34)
      let tables = PixelTables.imageNet(channels: channels)
      let batch = imagesOfEveryKind(plan.image, count: 5, tables)
      let values = ImageBatch(count: 5, shape: plan.image, pixels: batch.pixels)
      let session = try CUDASession(plan, precision, device)
      try session.load(Weights(initializing: architecture, seed: 5))
      let found = try [batch, values].map { try session.infer($0, keepingFeatures: true) }
      #expect(found[0].logits == found[1].logits)
      #expect(found[0].features == found[1].features)
      #expect(emulator.violation == "")
    }
  }
}

extension Emulated {
  @Suite struct CUDAPrimitivesTests {
    @Test(arguments: [false, true])
    func `the emulator does what the PTX ISA says`(truncates: Bool) throws {
      let (emulator, device) = try emulatedDevice()
      defer { emulator.reset() }
      emulator.truncateSums(truncates)
      let findings = try CUDAPrimitives.findings(on: device)
      #expect(findings.count == 8)
      for finding in findings { #expect(finding.failures.isEmpty, "\(finding.name): \(finding.failures)") }
      #expect(emulator.violation == "")
    }

    /// Each comparison sees a device that errs: a store of each kernel goes one element further, or a wait is too weak.
    @Test func `a device that does something else is found out`() throws {
      let (emulator, device) = try emulatedDevice()
      defer { emulator.reset() }
      emulator.recordSites(true)
      _ = try CUDAPrimitives.findings(on: device)
      let kinds = ["index", "wait", "fence"]
      let sites = emulator.sites.filter { site in kinds.contains { site.contains("\t\($0)\t") } }
      #expect(Set(sites.map { $0.split(separator: "\t")[0] }).count == 8)
      for site in sites {
        let (emulator, device) = try emulatedDevice()
        #expect(emulator.plant(site))
        let isNoticed = (try? CUDAPrimitives.findings(on: device).contains { !$0.failures.isEmpty }) ?? true
        #expect(isNoticed || emulator.violation != "", "\(site)")
      }
    }
  }
}
