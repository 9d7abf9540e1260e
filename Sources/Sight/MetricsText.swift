import Cluster
import Training

/// A run in Prometheus's text format 0.0.4. What is not known yet has no sample.
struct MetricsText {
  private(set) var text = ""

  init(_ view: RunView) {
    add(
      "build_info", .gauge, "What this coordinator is; always 1.",
      [(["version": Build.version, "kernels": Build.kernelsName], 1)])
    if let job = view.job {
      add(
        "run_info", .gauge, "Which run this is; always 1.",
        [(["run": job.run, "network": job.network], 1)])
    }
    add(
      "state", .gauge, "What the coordinator is at: 1 for that, 0 for all else.",
      RunView.Phase.allCases.map { (["state": $0.rawValue], $0 == view.phase ? 1 : 0) })

    add("step", .gauge, "Steps made over the whole run.", view.position.step)
    add(
      "steps_planned", .gauge, "Steps of the run if nothing stops it early.", view.job?.totalSteps)
    add("epoch", .gauge, "Whole epochs made.", view.position.epoch)
    add("epochs_planned", .gauge, "Epochs of the run if nothing stops it early.", view.job?.epochs)
    add("remaining_seconds", .gauge, "Time to the last step at this speed.", view.secondsLeft)
    add("clips_per_second", .gauge, "Clips trained on in a second, lately.", view.clipsPerSecond)
    add("seconds_per_step", .gauge, "Seconds that a step takes, lately.", view.secondsPerStep)
    add(
      "data_wait_share", .gauge, "Part of the workers' time spent waiting for clips, 0 to 1.",
      view.dataWaitShare)

    add("loss", .gauge, "Training loss of the last step.", view.lastStep?.loss)
    add(
      "gradient_norm", .gauge, "Norm of the last step's gradient.", view.lastStep?.gradientNorm)
    add("learning_rate", .gauge, "Learning rate of the last step.", view.lastStep?.learningRate)
    let validation = view.validation
    add("validation_loss", .gauge, "Loss of the last validation.", validation?.loss)
    add(
      "validation_roc_auc", .gauge, "Macro ROC-AUC of the last validation.", validation?.rocAUC)
    add("validation_pr_auc", .gauge, "Macro PR-AUC of the last validation.", validation?.prAUC)
    add(
      "best_validation_roc_auc", .gauge, "Greatest macro ROC-AUC of any validation.",
      view.best?.score)
    add("best_validation_step", .gauge, "Step of that validation.", view.best?.step)

    add(
      "workers", .gauge, "Workers by what they do.",
      WorkerView.State.allCases.map { state in
        (
          ["state": state.rawValue],
          Double(view.workers.count { WorkerView.State(of: $0) == state })
        )
      })
    add("lanes", .gauge, "Lanes of the run.", view.job?.lanes)
    add(
      "faults_total", .counter, "What went wrong with workers, by kind, in this term.",
      CrewEvent.Kind.allCases.filter(\.isFault).map {
        (["kind": $0.rawValue], Double(view.incidentCounts[$0, default: 0]))
      })
    add(
      "refused_messages_total", .counter, "Messages that made no sense.", view.refusedMessages)
    add(
      "connections_turned_away_total", .counter, "Attempts to connect that were turned away.",
      view.connectionsTurnedAway)
    add("sent_bytes_total", .counter, "Bytes sent to workers.", Double(view.traffic.sentBytes))
    add(
      "delivered_bytes_total", .counter, "Bytes of the store, sent to workers that have none.",
      Double(view.deliveredBytes))
    add(
      "received_bytes_total", .counter, "Bytes received from workers.",
      Double(view.traffic.receivedBytes))
    add(
      "start_time_seconds", .gauge, "When this coordinator started, in seconds since 1970.",
      view.began.timeIntervalSince1970)
  }

  private enum Kind: String {
    case counter, gauge
  }

  private typealias Sample = (labels: KeyValuePairs<String, String>, value: Double)

  private mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) {
    var samples: [Sample] = []
    if let value { samples.append((labels: [:], value: value)) }
    add(name, kind, help, samples)
  }

  private mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Int?) {
    add(name, kind, help, value.map(Double.init))
  }

  private mutating func add(
    _ name: String, _ kind: Kind, _ help: String,
    _ samples: [Sample]
  ) {
    text += "# HELP tutti_\(name) \(help)\n# TYPE tutti_\(name) \(kind.rawValue)\n"
    for sample in samples {
      let labels = sample.labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
      text += "tutti_\(name)" + (labels.isEmpty ? "" : "{\(labels)}") + " "
      text += "\(Self.figure(sample.value))\n"
    }
  }

  /// As Go reads it; integers without a point.
  private static func figure(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int(exactly: value).map(String.init) ?? value.description
  }

  /// A label's value, whatever a run is called.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
