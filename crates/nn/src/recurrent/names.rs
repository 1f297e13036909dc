//! PyTorch's names.

/// What PyTorch's `nn.RNN`, `nn.LSTM` and `nn.GRU` call the parameter that is at `path` here: one module of PyTorch's holds all
/// layers and directions, and says which by an ending. Parameters of other layers keep their names.
///
/// ```
/// use gradus_nn::torch_recurrent_name;
/// assert_eq!(torch_recurrent_name("weight_ih"), "weight_ih_l0");
/// assert_eq!(torch_recurrent_name("backward.bias_hh"), "bias_hh_l0_reverse");
/// assert_eq!(torch_recurrent_name("encoder.1.forward.weight_hh"), "encoder.weight_hh_l1");
/// assert_eq!(torch_recurrent_name("head.weight"), "head.weight");
/// ```
pub fn torch_recurrent_name(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('.').collect();
    let name = parts.pop().unwrap_or_default();
    if !["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"].contains(&name) {
        return path.to_owned();
    }
    let direction = parts.pop_if(|part| ["forward", "backward"].contains(part));
    let layer = parts.pop_if(|part| part.parse::<usize>().is_ok()).unwrap_or("0");
    let ending = if direction == Some("backward") { "_reverse" } else { "" };
    let own = format!("{name}_l{layer}{ending}");
    parts.push(&own);
    parts.join(".")
}
