import CSynapse
import Engine
import Foundation
import Platform
import TestSupport
import Testing

@testable import Accelerators

extension Stubbed {
  /// How nodes are written, held against what others say: a recording of Intel's own, and the stub's table, which was read from other sources.
  @Suite struct GaudiNodeTests {
    private static let elements = [GaudiElement.bf16, .float]

    private struct Recorded {
      let guid: String
      let inputs: [String?]
      let outputs: [String?]
      let parameters: String?

      init(_ row: JSONValue) {
        guid = row["guid"]?.string ?? ""
        inputs = row["inputs"]?.array?.map(\.string) ?? []
        outputs = row["outputs"]?.array?.map(\.string) ?? []
        parameters = row["parameters"]?.string
      }
    }

    private static func recorded() throws -> [Recorded] {
      let bytes = try FileReader.contents(of: fixture("gaudi/resnet50-nodes.json"))
      return try #require(JSONValue.parse(bytes).array).map(Recorded.init)
    }

    private static func element(_ suffix: String) -> GaudiElement? {
      [GaudiElement.bf16, .float, .int16, .byte].first { $0.suffix == suffix }
    }

    @Test func `every row of the table names a source, and no guid has two`() {
      var guids: Set<String> = []
      for kind in GaudiNodeKind.allCases {
        #expect(kind.rule.source.contains("[record]") || kind.rule.source.contains("[bridge] "), "\(kind)")
        for guid in Set(Self.elements.map(kind.guid)) { #expect(guids.insert(guid).inserted, "\(guid)") }
      }
    }

    /// A reduction in bf16 writes floats there; chexnet reduces floats alone. A bias at a convolution, which chexnet has none of, is a row more.
    @Test func `rows that name the recording are as it has them`() throws {
      let recorded = try Self.recorded()
      for kind in GaudiNodeKind.allCases where kind.rule.source.contains("[record]") {
        for element in Self.elements where !(kind == .reduction && element == .bf16) {
          let rows = recorded.filter {
            $0.guid == kind.guid(element) && (kind.rule.hasSuffix || $0.inputs[0] == element.suffix)
          }
          #expect(!rows.isEmpty, "\(kind.guid(element)) is not in the recording")
          for row in rows {
            let (inputs, outputs) = (
              row.inputs.map { $0.flatMap(Self.element) }, row.outputs.map { $0.flatMap(Self.element) }
            )
            #expect(kind.rule.inputs.allows(inputs, element), "\(kind): inputs \(row.inputs)")
            #expect(kind.rule.outputs.allows(outputs, element), "\(kind): outputs \(row.outputs)")
          }
        }
      }
    }

    /// C structs by the names that the recording has: of batch norms it has the older one, without `isTraining`, or none.
    @Test func `parameters are the structs of the recording`() throws {
      let sizes: [String: Int] = [
        "synConvolutionParams": MemoryLayout<synapse_convolution>.size,
        "ns_SpatialReduction::Params": MemoryLayout<synapse_maximum_pool>.size,
        "ns_AveragePooling::Params": MemoryLayout<synapse_average_pool>.size,
        "ns_Reduction::Params": MemoryLayout<synapse_reduction>.size,
      ]
      let recorded = try Self.recorded()
      for kind in GaudiNodeKind.allCases where kind.rule.source == "[record]" {
        for row in recorded where row.guid == kind.guid(.float) {
          #expect(kind.rule.parameterBytes == row.parameters.map { sizes[$0] } ?? 0, "\(kind): \(row.parameters ?? "")")
        }
      }
    }

    /// `struct stub_rule` of Tests/GaudiStub/node.h.
    private struct StubRule {
      let guid: UnsafePointer<CChar>
      let inputsLeast, inputsMost, outputsLeast, outputsMost: UInt32
      let parameterBytes: (UInt32, UInt32, UInt32)
      let source: UnsafePointer<CChar>
    }

    @Test func `the stub's table, read from other sources, agrees`() throws {
      let stub = try GaudiStub.shared.get()
      let table: @convention(c) (UnsafeMutablePointer<Int>) -> UnsafeRawPointer? =
        try stub.library.symbol("gaudi_stub_rules")
      var count = 0
      let start = try #require(table(&count)).assumingMemoryBound(to: StubRule.self)
      let rows = Dictionary(
        uniqueKeysWithValues: UnsafeBufferPointer(start: start, count: count).map {
          (String(cString: $0.guid), $0)
        })
      for kind in GaudiNodeKind.allCases {
        for guid in Set(Self.elements.map(kind.guid)) {
          let row = try #require(rows[guid], "the stub knows no \(guid)")
          let (inputs, outputs) = (kind.rule.inputs.slots.count, kind.rule.outputs.slots.count)
          #expect((Int(row.inputsLeast)...Int(row.inputsMost)).contains(inputs), "\(guid): \(inputs) inputs")
          #expect((Int(row.outputsLeast)...Int(row.outputsMost)).contains(outputs), "\(guid): \(outputs) outputs")
          let sizes = [row.parameterBytes.0, row.parameterBytes.1, row.parameterBytes.2].map(Int.init)
          #expect(sizes.contains(kind.rule.parameterBytes), "\(guid): \(kind.rule.parameterBytes) bytes, not \(sizes)")
          #expect(String(cString: row.source).count > 10, "\(guid)")
        }
      }
    }

    @Test func `structs that Synapse and HCCL read are laid out as the stub's`() throws {
      let stub = try GaudiStub.shared.get()
      typealias Tensor = synapse_launch_tensor
      typealias Info = synapse_device_info
      let expected: [(String, Int?)] = [
        ("synTensorGeometry", MemoryLayout<synapse_geometry>.size),
        ("synTensorGeometry.sizes", MemoryLayout<synapse_geometry>.offset(of: \.sizes)),
        ("synTensorGeometry.dims", MemoryLayout<synapse_geometry>.offset(of: \.dimensions)),
        ("synLaunchTensorInfo", MemoryLayout<Tensor>.size),
        ("synLaunchTensorInfo.tensorName", MemoryLayout<Tensor>.offset(of: \.name)),
        ("synLaunchTensorInfo.pTensorAddress", MemoryLayout<Tensor>.offset(of: \.address)),
        ("synLaunchTensorInfo.tensorType", MemoryLayout<Tensor>.offset(of: \.kind)),
        ("synLaunchTensorInfo.tensorSize", MemoryLayout<Tensor>.offset(of: \.sizes)),
        ("synLaunchTensorInfo.tensorId", MemoryLayout<Tensor>.offset(of: \.identifier)),
        ("synDeviceInfoV2", MemoryLayout<Info>.size),
        ("synDeviceInfoV2.dramSize", MemoryLayout<Info>.offset(of: \.dram_bytes)),
        ("synDeviceInfoV2.deviceId", MemoryLayout<Info>.offset(of: \.identifier)),
        ("synDeviceInfoV2.deviceType", MemoryLayout<Info>.offset(of: \.type)),
        ("synDeviceInfoV2.deviceIndex", MemoryLayout<Info>.offset(of: \.index)),
        ("hcclUniqueId", MemoryLayout<hccl_unique_id>.size),
        ("hcclUniqueId.length", MemoryLayout<hccl_unique_id>.offset(of: \.length)),
      ]
      for (name, mine) in expected { #expect(stub.layout(name) == mine && mine != nil, "\(name)") }
    }

    /// Sizes in bytes as the sources that CSynapse names have them.
    @Test func `parameters of nodes have their sizes`() {
      #expect(MemoryLayout<synapse_convolution>.size == 72)
      #expect(MemoryLayout<synapse_convolution>.offset(of: \.activation_channels) == 44)
      #expect(MemoryLayout<synapse_convolution>.offset(of: \.activation_negative) == 48)
      #expect(MemoryLayout<synapse_convolution>.offset(of: \.groups) == 64)
      #expect(MemoryLayout<synapse_axis>.size == 4 && MemoryLayout<synapse_gemm>.size == 2)
      #expect(MemoryLayout<synapse_normalization>.size == 16)
      #expect(MemoryLayout<synapse_normalization>.offset(of: \.is_training) == 12)
      #expect(MemoryLayout<synapse_fixed_normalization>.size == 12)
      #expect(MemoryLayout<synapse_maximum_pool>.size == 44)
      #expect(MemoryLayout<synapse_maximum_pool>.offset(of: \.kernel_width) == 16)
      #expect(MemoryLayout<synapse_average_pool>.size == 48)
      #expect(MemoryLayout<synapse_reduction>.size == 4 && MemoryLayout<synapse_cast>.size == 4)
    }

    @Test func `a release without the modules' numbers has them counted from 0`() throws {
      let (stub, device) = try stubbedDevice()
      var functions = device.functions
      #expect(GaudiDevice.modules(functions, count: 1) == [0])
      functions.moduleNumbers = nil
      #expect(GaudiDevice.modules(functions, count: 3) == [0, 1, 2])
      #expect(stub.fault == "")
    }

    /// What is broken in one node, and what the stub then calls it.
    private static func broken(_ graph: GaudiGraph, _ node: Int) -> [(what: String, graph: GaudiGraph)] {
      var all: [(String, GaudiGraph)] = []
      func add(_ what: String, _ change: (inout GaudiGraph) -> Void) {
        var graph = graph
        change(&graph)
        all.append(("\(graph.nodes[node].guid): \(what)", graph))
      }
      let whole = graph.nodes[node]
      add("another guid") { $0.nodes[node].guid += "_x" }
      add("parameters of another size") { $0.nodes[node].parameters += [0, 0, 0] }
      if !whole.parameters.isEmpty { add("no parameters at all but a byte") { $0.nodes[node].parameters = [1] } }
      for input in whole.inputs.indices {
        guard let tensor = whole.inputs[input] else { continue }
        add("input \(input) is left out") { $0.nodes[node].inputs[input] = nil }
        add("input \(input) of 16-bit integers") { $0.tensors[tensor].element = .int16 }
        add("input \(input) of another size") { $0.tensors[tensor].sizes[0] += 5 }
      }
      for output in whole.outputs.indices {
        let tensor = whole.outputs[output]
        add("output \(output) of another size") { $0.tensors[tensor].sizes[0] += 5 }
        add("output \(output) of bytes") { $0.tensors[tensor].element = .byte }
      }
      add("no outputs") { $0.nodes[node].outputs = [] }
      return all
    }

    /// Every node of every trial, broken in each of its places.
    @Test func `a node that is written wrongly is not compiled`() throws {
      let (stub, device) = try stubbedDevice()
      let compiler = GaudiCompiler(device.synapse, .gaudi2, device: "stub")
      var (count, kinds) = (0, Set<String>())
      for trial in GaudiNodeTrials.all() {
        for node in trial.graph.nodes.indices {
          for (what, graph) in Self.broken(trial.graph, node) {
            // Positions are bytes beside floats, and 16-bit integers beside bf16.
            if trial.kinds.contains(.maximumPool), what.contains("output 0 of bytes") || what.contains("input 1 of 16")
            {
              continue
            }
            stub.forget()
            #expect(throws: BackendError.self, "\(what)") {
              let recipe = try compiler.compile(graph)
              _ = device.functions.destroyRecipe(recipe)
            }
            #expect(stub.fault.hasPrefix("node-"), "\(what): \(stub.text)")
            kinds.insert(stub.fault)
            count += 1
          }
        }
      }
      #expect(count > 500, "\(count)")
      #expect(kinds.count >= 8, "\(kinds.sorted())")
    }

    @Test func `every node computes what it is by definition`() throws {
      let (stub, device) = try stubbedDevice()
      var tried: Set<GaudiNodeKind> = []
      for trial in GaudiNodeTrials.all() {
        #expect(try trial.findings(on: device) == [], "\(trial.name); \(stub.text)")
        tried.formUnion(trial.kinds)
      }
      #expect(tried.count == GaudiNodeKind.allCases.count)
    }
  }
}
