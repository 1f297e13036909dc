//! `#[derive(RuleState)]`.

use crate::fields::{fields_of, float_parameter, members, mentions_parameter};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Result, parse_quote};

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = members(fields_of(input, "RuleState")?);
    let float = float_parameter(input).map_or(quote!(f32), |ident| quote!(#ident));
    let mut generics = input.generics.clone();
    for (field, ..) in fields.iter().filter(|(field, ..)| mentions_parameter(input, field)) {
        let ty = &field.ty;
        generics.make_where_clause().predicates.push(parse_quote!(#ty: ::gradus::RuleState<#float>));
    }
    let tensors = lists(&fields, &quote!(::gradus::RuleState::<#float>::tensors), &quote!(&));
    let tensors_mut = lists(&fields, &quote!(::gradus::RuleState::<#float>::tensors_mut), &quote!(&mut));
    let ident = &input.ident;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, type_generics, _) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::gradus::RuleState<#float> for #ident #type_generics #where_clause {
            fn tensors(&self) -> ::std::vec::Vec<(::std::string::String, &::gradus::tensor::Tensor<#float>)> {
                ::std::iter::empty() #(.chain(#tensors))* .collect()
            }
            fn tensors_mut(&mut self) -> ::std::vec::Vec<(::std::string::String, &mut ::gradus::tensor::Tensor<#float>)> {
                ::std::iter::empty() #(.chain(#tensors_mut))* .collect()
            }
        }
    })
}

/// For each field, an iterator over its tensors, named by the field.
fn lists(fields: &[(&syn::Field, TokenStream, String)], method: &TokenStream, borrow: &TokenStream) -> Vec<TokenStream> {
    let list = |(_, member, name): &(&syn::Field, TokenStream, String)| {
        quote!(#method(#borrow self.#member).into_iter().map(|(name, tensor)| match name.is_empty() {
            true => (::std::string::String::from(#name), tensor),
            false => (::std::format!("{}.{}", #name, name), tensor),
        }))
    };
    fields.iter().map(list).collect()
}
