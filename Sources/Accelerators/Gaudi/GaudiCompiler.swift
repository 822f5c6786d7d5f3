import CSynapse
import Engine
import Platform

/// Says a graph to Synapse, node by node, and has it compiled. No card is needed.
struct GaudiCompiler {
  private let synapse: Synapse
  private let generation: GaudiGeneration
  private let device: String

  /// `device`: as errors name it.
  init(_ synapse: Synapse, _ generation: GaudiGeneration, device: String) {
    (self.synapse, self.generation, self.device) = (synapse, generation, device)
  }

  private var functions: SynapseFunctions { synapse.functions }

  /// A recipe, which the caller destroys. Throws `notCompiled` where a node or the whole is refused.
  func compile(_ graph: GaudiGraph) throws(BackendError) -> SynapseHandle {
    var handle: SynapseHandle?
    try check("synGraphCreate", functions.createGraph(&handle, generation.rawValue), graph.name)
    guard let handle else { preconditionFailure("a graph that was created is there") }
    defer { _ = functions.destroyGraph(handle) }
    var sections: [GaudiSection: SynapseHandle] = [:]
    var tensors: [SynapseHandle] = []
    defer {
      for tensor in tensors { _ = functions.destroyTensor(tensor) }
      for section in sections.values { _ = functions.destroySection(section) }
    }
    for tensor in graph.tensors { tensors.append(try create(tensor, in: handle, &sections)) }
    for node in graph.nodes { try create(node, in: handle, tensors) }
    var recipe: SynapseHandle?
    let status = functions.compile(&recipe, handle, graph.name, nil)
    guard status == 0, let recipe else { throw refusal("\(graph.name) (\(graph.nodes.count) nodes)", status) }
    return recipe
  }

  private func create(
    _ tensor: GaudiTensor, in graph: SynapseHandle, _ sections: inout [GaudiSection: SynapseHandle]
  ) throws(BackendError) -> SynapseHandle {
    var handle: SynapseHandle?
    try check(
      "synTensorHandleCreate", functions.createTensor(&handle, graph, SynapseConstant.dataTensor, tensor.name),
      tensor.name)
    guard let handle else { preconditionFailure("a tensor that was created is there") }
    var geometry = synapse_geometry()
    geometry.dimensions = UInt32(tensor.sizes.count)
    withUnsafeMutableBytes(of: &geometry.sizes) { sizes in
      for (index, size) in tensor.sizes.enumerated() {
        sizes.storeBytes(of: UInt64(size), toByteOffset: 8 * index, as: UInt64.self)
      }
    }
    try check(
      "synTensorSetGeometry", functions.setGeometry(handle, &geometry, SynapseConstant.geometrySizes), tensor.name)
    try check(
      "synTensorSetDeviceDataType", functions.setType(handle, tensor.element.rawValue), tensor.name)
    guard let place = tensor.place else { return handle }
    let section: SynapseHandle
    if let known = sections[place.section] {
      section = known
    } else {
      var made: SynapseHandle?
      try check("synSectionCreate", functions.createSection(&made, 0, graph), place.section.rawValue)
      guard let made else { preconditionFailure("a section that was created is there") }
      sections[place.section] = made
      try check("synSectionSetPersistent", functions.setPersistent(made, true), place.section.rawValue)
      section = made
    }
    try check(
      "synTensorAssignToSection", functions.assignSection(handle, section, UInt64(place.offset)), tensor.name)
    return handle
  }

  private func create(
    _ node: GaudiNode, in graph: SynapseHandle, _ tensors: [SynapseHandle]
  ) throws(BackendError) {
    let inputs = node.inputs.map { $0.map { tensors[$0] } }
    let outputs = node.outputs.map { SynapseHandle?(tensors[$0]) }
    let status = node.parameters.withUnsafeBytes { parameters in
      functions.createNode(
        graph, inputs, outputs, UInt32(inputs.count), UInt32(outputs.count),
        parameters.isEmpty ? nil : parameters.baseAddress, CUnsignedInt(parameters.count), node.guid, node.name, nil,
        nil)
    }
    if status != 0 { throw refusal("the node \(node.guid) (\(node.name))", status) }
  }

  private func check(_ call: String, _ status: SynapseStatus, _ operation: String) throws(BackendError) {
    if status != 0 { throw synapse.fault(call, status, on: device, operation) }
  }

  private func refusal(_ what: String, _ status: SynapseStatus) -> BackendError {
    .device(
      .gaudi(
        .notCompiled(
          what, device: device, code: Int(status), error: functions.text(of: status), release: synapse.release)))
  }
}
