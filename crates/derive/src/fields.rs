//! What the derives read of a struct: its fields and its element type.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Index, Result, WherePredicate};

/// The fields of a struct, for which alone `derive` is defined.
pub fn fields_of<'a>(input: &'a DeriveInput, derive: &str) -> Result<&'a Fields> {
    match &input.data {
        Data::Struct(data) => Ok(&data.fields),
        _ => Err(Error::new_spanned(&input.ident, format!("{derive} can be derived for structs only"))),
    }
}

/// Each field with how it is accessed and its name; a tuple struct's are its numbers.
pub fn members(fields: &Fields) -> Vec<(&syn::Field, TokenStream, String)> {
    fields
        .iter()
        .enumerate()
        .map(|(i, field)| match &field.ident {
            Some(ident) => (field, quote!(#ident), ident.to_string().trim_start_matches("r#").to_string()),
            None => {
                let index = Index::from(i);
                (field, quote!(#index), i.to_string())
            }
        })
        .collect()
}

/// The type parameter bounded by `Float`, where it stands or in the `where` clause, if there is one.
pub fn float_parameter(input: &DeriveInput) -> Option<syn::Ident> {
    let is_float = |bounds: &dyn quote::ToTokens| {
        let text = quote!(#bounds).to_string();
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == "Float")
    };
    let in_where = |ident: &syn::Ident| {
        let predicates = input.generics.where_clause.iter().flat_map(|w| &w.predicates);
        predicates.into_iter().any(|predicate| match predicate {
            WherePredicate::Type(p) => {
                let ty = &p.bounded_ty;
                *ident == quote!(#ty).to_string() && is_float(&p.bounds)
            }
            _ => false,
        })
    };
    input.generics.type_params().find(|p| is_float(&p.bounds) || in_where(&p.ident)).map(|p| p.ident.clone())
}

/// Whether a field's type is generic, so that the impl must bound it.
pub fn mentions_parameter(input: &DeriveInput, field: &syn::Field) -> bool {
    let ty = &field.ty;
    let text = quote!(#ty).to_string();
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    input.generics.type_params().any(|p| words.contains(&p.ident.to_string().as_str()))
}
